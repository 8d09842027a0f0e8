/* The search of the site. Every field of search loads the index when it is first used and shows what it finds as the
   reader types: first what is defined under that name, then the sections that speak of it.

   An entry of the index (tools/site/search.py): page, id, title, where, text, code, and names if it is defined there. */

(() => {
"use strict";

const GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma "
  + "tau upsilon phi chi psi omega").split(" ");
const GREEK_NAME = new RegExp(`^\\\\?(?:var)?(${GREEK.join("|")})(?![a-z])`, "i");
const MOST_DEFINITIONS = 8;
const MOST_SECTIONS = 20;
const SNIPPET = 220;
// Words of a question that say nothing of its subject.
const FILLERS = new Set(("a an and are at be by can do does for from how i in is it its me my of on or should so that the "
  + "then there to vs was what when where which why will with you your").split(" "));
// Pages that say again what a chapter says stand behind it.
const AGAIN = { "book/claims.html": 0.3, "book/bibliography.html": 0.5, "book/sources.html": 0.5 };

let index = null;
let whenLoaded = () => {};

/* Called by search_index.js. */
window.searchIndex = (entries) => {
  for (const entry of entries) {
    entry.keys = (entry.names || []).map((name) => ({ key: keyOf(name), exact: exactly(name) }));
    entry.words = ["title", "where", "code", "text"].map((field) => plain(entry[field] || ""));
  }
  index = entries;
  whenLoaded();
};

/* ---- Writing: one form for all the ways to write a name */

/* Text for comparison: small letters, and each character in its usual form (₁ is 1, ϵ is ε); the length is kept. */
function plain(text) {
  return text.toLowerCase().replace(/[^\x00-\x7f]/gu, (letter) => {
    const usual = letter.normalize("NFKC").toLowerCase();
    return usual.length === letter.length ? usual : letter;
  }).replace(/[’‘]/g, "'").replace(/∆/g, "δ").replace(/[⋆∗]/g, "*").replace(/′/g, "'");
}

/* The name as it is written, but for the looks of its characters: capitals tell Γ from γ. */
function exactly(name) {
  return name.trim().normalize("NFKC").replace(/[⋆∗]/g, "*");
}

/* One key for β₁, beta1, beta_1 and \beta_1, another for p_i and pᵢ. */
function keyOf(name) {
  return plain(name.replace(/[ᵢⱼₐₑₕₖₗₘₙₒₚᵣₛₜᵤᵥₓ]+/g, "_$&").normalize("NFC"))
    .replace(/[\\{}$()]|\bvar(?=epsilon|phi|theta|rho)/g, "")
    .replace(/[α-ω]/g, (letter) => ` ${GREEK[letter.codePointAt(0) - 0x3b1]} `)
    .replace(/\*/g, " star ").replace(/[_^\s]+/g, " ").replace(/ (?=[\d'.\u0300-\u036f])/g, "").trim();
}

/* The ways in which a word of the query may stand in a text: as it is, and a Greek letter for its name. */
function spellings(word) {
  const greek = word.replace(GREEK_NAME, (_, name) => String.fromCodePoint(0x3b1 + GREEK.indexOf(name.toLowerCase())));
  return greek === word ? [plain(word)] : [plain(word), plain(greek.replace(/[_^](?=\w)/, ""))];
}

/* What finds a word in a text: the beginning of a word, in the plural or not; all of it if it is short. */
function finder(word) {
  const forms = spellings(word).map((form) => {
    const plural = form.length > 4 && /[a-z]s$/.test(form);
    const stem = plural ? form.slice(0, -1) : form;
    const escaped = stem.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&") + (plural ? "s?" : "");
    return [...stem].length < 3 ? `${escaped}(?![\\p{L}\\p{N}_\\u0300-\\u036f])` : escaped;
  });
  return new RegExp(`(?<![\\p{L}_])(?:${forms.join("|")})`, "gu");
}

/* ---- Finding */

/* How well the query names what an entry defines, 0 if it does not. An entry's first name counts most, and among equals
   the one that is written as in the query. */
function nameScore(entry, { exact, key, finders }) {
  let best = 0;
  for (const [place, name] of entry.keys.entries()) {
    let score = 0;
    if (name.key === key) score = 100 - 2 * Math.min(place, 5) + (name.exact === exact ? 1 : 0);
    else if (key.length > 1 && name.key.startsWith(key)) score = 60 - Math.min(name.key.length - key.length, 20);
    else if (!name.key.startsWith("course lib") && finders.every((find) => name.key.search(find) >= 0)) score = 30;
    best = Math.max(best, score);
  }
  return best;
}

/* How much an entry says about the words: all must be there (or some), and those in a heading count most. */
function textScore(entry, { phrase, finders }, some = false) {
  const [title, where, code, text] = entry.words;
  let score = 0;
  let kinds = 0;
  for (const find of finders) {
    const times = (text.match(find) || []).length;
    const found = (title.match(find) ? 8 : 0) + (where.match(find) ? 3 : 0) + (code.match(find) ? 2 : 0)
      + (times ? 1 + Math.log2(times) : 0);
    if (!found && !some) return 0;
    if (found) kinds += 1;
    score += Math.min(found, 12);
  }
  score *= (kinds / finders.length) ** 3;
  if (finders.length > 1) score += (title.includes(phrase) ? 8 : 0) + (text.includes(phrase) ? 4 : 0);
  if (!entry.id) score *= 1.5; // a whole chapter
  return score * (AGAIN[entry.page] || 1) * (entry.names ? 0.7 : 1);
}

function best(scores) {
  return scores.filter(([, score]) => score > 0).sort((a, b) => b[1] - a[1]).map(([entry]) => entry);
}

/* {definitions, sections, finders, missing, some}: what is found, best first, and the words that are nowhere. If nothing
   has all of the words, `some` is true and the sections have some of them. */
function search(text) {
  const all = text.trim().split(/\s+/);
  const telling = all.filter((word) => !FILLERS.has(word.toLowerCase().replace(/[?!.,]+$/, "")));
  const words = (telling.length ? telling : all).map((word) => word.replace(/(?<=.)[?!,]+$/, ""));
  const query = { exact: exactly(text), key: keyOf(text), phrase: plain(text.trim()), finders: words.map(finder) };
  const definitions = best(index.filter((entry) => entry.names).map((entry) => [entry, nameScore(entry, query)]));
  const named = new Set(definitions);
  const others = index.filter((entry) => !named.has(entry));
  let sections = best(others.map((entry) => [entry, textScore(entry, query)]));
  const some = words.length > 1 && !definitions.length && !sections.length;
  if (some) sections = best(others.map((entry) => [entry, textScore(entry, query, true)]));
  const missing = words.filter((_, i) =>
    !index.some((entry) => entry.words.some((field) => field.search(query.finders[i]) >= 0)));
  return { definitions, sections, finders: query.finders, missing, some };
}

/* ---- Showing */

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/* The text with the words that were looked for marked. */
function marked(text, finders) {
  const lower = plain(text);
  const places = finders.flatMap((find) => [...lower.matchAll(find)].map((hit) => [hit.index, hit.index + hit[0].length]));
  const parts = [];
  let end = 0;
  for (const [from, to] of places.sort((a, b) => a[0] - b[0])) {
    if (from < end) continue;
    parts.push(text.slice(end, from), element("mark", { textContent: text.slice(from, to) }));
    end = to;
  }
  return [...parts, text.slice(end)];
}

/* The part of a text around the first place where a word stands, from a word to a word. */
function snippet(text, finders) {
  const lower = plain(text);
  const places = finders.map((find) => lower.search(find)).filter((place) => place >= 0);
  const first = Math.max(Math.min(...places, text.length) - SNIPPET / 3, 0);
  const from = places.length && first ? text.indexOf(" ", first) + 1 : 0;
  const rest = text.slice(from);
  const part = rest.length > SNIPPET ? rest.slice(0, rest.lastIndexOf(" ", SNIPPET)) : rest;
  return (from ? "… " : "") + part + (part.length < rest.length ? " …" : "");
}

function item(entry, finders) {
  const root = document.documentElement.dataset.content_root;
  const link = element("a", { href: root + entry.page + (entry.id ? `#${entry.id}` : "") }, ...marked(entry.title, finders));
  const made = element("li", {}, link);
  if (entry.names && entry.code) made.append(" ", element("code", { textContent: entry.code }));
  if (entry.where) made.append(element("div", { className: "search-where", textContent: entry.where }));
  // A definition is read from its beginning.
  if (entry.text) made.append(element("p", {}, ...marked(snippet(entry.text, entry.names ? [] : finders), finders)));
  return made;
}

/* A group of results under its heading; those past the first ones are folded. */
function group(heading, entries, most, finders) {
  if (!entries.length) return [];
  const list = (part) => element("ul", {}, ...part.map((entry) => item(entry, finders)));
  const made = [element("h2", { textContent: heading }), list(entries.slice(0, most))];
  if (entries.length > most) {
    const more = element("details", {}, element("summary", { textContent: `${entries.length - most} more` }));
    more.addEventListener("toggle", () => more.append(list(entries.slice(most))), { once: true });
    made.push(more);
  }
  return made;
}

function summary({ definitions, sections, missing, some }, text) {
  const count = definitions.length + sections.length;
  const unknown = missing.map((word) => `“${word}”`).join(" and no ");
  if (count && some) return missing.length ? `The book has no ${unknown}. Without:` : `No section has all of “${text}”. These have some:`;
  if (count) return `${count} ${count === 1 ? "result" : "results"} for “${text}”`;
  if (missing.length) return `Nothing found: the book has no ${unknown}.`;
  return `Nothing found: no section has all of the words “${text}”.`;
}

function show(output, text) {
  if (!text.trim()) return output.replaceChildren();
  if (!index) return output.replaceChildren("Searching…");
  const found = search(text);
  output.replaceChildren(
    element("p", { className: "search-summary", role: "status", textContent: summary(found, text.trim()) }),
    ...group("Definitions", found.definitions, MOST_DEFINITIONS, found.finders),
    ...group("In the text", found.sections, MOST_SECTIONS, found.finders),
  );
}

/* ---- Fields */

function load() {
  if (document.getElementById("search-index")) return;
  const src = `${document.documentElement.dataset.content_root}_static/search_index.js`;
  document.head.append(element("script", { id: "search-index", src }));
}

/* Arrows lead from the field through the results and back. */
function step(event, field, output) {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!move) return;
  const stops = [field, ...output.querySelectorAll("a, summary")];
  const next = stops[stops.indexOf(document.activeElement) + move];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function connect(form) {
  const field = form.querySelector("input");
  const onPage = form.nextElementSibling !== null; // the page of results has a place for them
  if (!onPage) form.after(element("div", { className: "search-results" }));
  const output = form.nextElementSibling;
  const update = () => {
    load();
    whenLoaded = () => show(output, field.value);
    show(output, field.value);
    if (onPage) history.replaceState(null, "", field.value ? `?q=${encodeURIComponent(field.value)}` : location.pathname);
  };
  field.addEventListener("focus", load);
  field.addEventListener("input", update);
  form.parentElement.addEventListener("keydown", (event) => step(event, field, output));
  if (!onPage) return;
  form.addEventListener("submit", (event) => event.preventDefault());
  field.value = new URLSearchParams(location.search).get("q") || "";
  field.focus();
  field.select();
  update();
}

document.querySelectorAll("form.bd-search").forEach(connect);
})();
