/* The still pictures of the pages: reads [{query}, …] as JSON, writes [markup, …]; fails where a query is wrong. */

import { readFileSync } from "node:fs";
import { parse } from "./address.mjs";
import { still } from "./markup.mjs";
import { initialState } from "./state.mjs";

/* A short name for a text, so that the ids of several figures on a page differ. */
function nameOf(text) {
  let hash = 0;
  for (const letter of text) hash = (Math.imul(hash, 31) + letter.codePointAt(0)) >>> 0;
  return `still-${hash.toString(36)}`;
}

function markup({ query }) {
  const { state, problems } = parse(query, initialState());
  if (problems.length) throw new Error(problems.join("; "));
  return still(nameOf(query), state);
}

try {
  process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(markup)));
} catch ({ message }) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
