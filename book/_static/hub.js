// The form that makes a link to a chapter on the reader's own JupyterHub. The address is kept in this browser only.
"use strict";

const KEY = "jupyterhub";
const form = document.querySelector(".hub-form");
const address = form.querySelector("#hub-address");
const chapter = form.querySelector("#hub-chapter");
const error = form.querySelector("#hub-error");
const result = form.querySelector(".hub-result");

// The address of the hub in what was typed or pasted, perhaps from a page inside the hub; an Error says what is wrong.
function hubOf(typed) {
  const text = typed.trim();
  if (!text) throw new Error("Type the address of your hub first.");
  let url;
  try {
    url = new URL(/^[a-z][a-z\d+.-]*:(?!\d)/i.test(text) ? text : `https://${text}`);
  } catch {
    throw new Error("This is not an address. One looks like https://hub.example.edu.");
  }
  if (!/^https?:$/.test(url.protocol)) throw new Error("The address should begin with https://.");
  if (!/^([a-z\d-]+\.)+[a-z\d-]+$|^localhost$/.test(url.hostname)) {
    throw new Error(`“${text}” does not name a hub. An address looks like https://hub.example.edu.`);
  }
  return url.origin + url.pathname.replace(/\/(hub|user)(\/.*)?$/, "").replace(/\/+$/, "");
}

function fail(message) {
  error.textContent = message;
  address.setAttribute("aria-invalid", Boolean(message));
  if (message) result.replaceChildren();
}

function remember(hub) {
  try {
    localStorage.setItem(KEY, hub);
  } catch {
    // A browser that keeps nothing still gets its link.
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY) || "";
  } catch {
    return "";
  }
}

function show() {
  const hub = hubOf(address.value);
  const link = document.createElement("a");
  link.href = form.dataset.link.replace("{hub}", hub).replace("{chapter}", chapter.value);
  link.textContent = `Open “${chapter.selectedOptions[0].text}” on ${new URL(hub).host}`;
  const plain = document.createElement("code");
  plain.textContent = link.href;
  result.replaceChildren(link, plain);
  fail("");
  return hub;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    remember(show());
  } catch (wrong) {
    fail(wrong.message);
    address.focus();
  }
});
chapter.addEventListener("change", () => result.firstChild && show());
address.addEventListener("input", () => fail(""));

address.value = remembered();
const wanted = new URLSearchParams(location.search).get("chapter");
if ([...chapter.options].some((option) => option.value === wanted)) chapter.value = wanted;
form.hidden = false;
if (address.value) show();
