// A card beside a link that shows what stands at its end, for a pointer that rests on it and for the keyboard.
"use strict";

(() => {
  const LINKS = ".bd-article a[href]:not(.headerlink)";
  const DELAY = 300, GRACE = 250;   // milliseconds until a card appears; and stays, while the pointer comes to it
  const EDGE = 8, GAP = 4;          // pixels between the card and the window, and the link

  const card = Object.assign(document.createElement("div"), { className: "preview", id: "preview", role: "tooltip" });
  let wanted = null;   // the link whose card is or will be shown
  let shown = null;    // the link whose card is shown
  let timer, loaded;

  // The previews of this page, {href: HTML}: a script (tools/site/previews.py), so that file:// pages have them too.
  function load() {
    loaded ??= new Promise((resolve) => {
      const root = new URL(document.documentElement.dataset.content_root, location);
      const name = location.pathname.slice(root.pathname.length).replace(/(^|\/)$/, "$1index").replace(/\.html$/, "");
      const script = document.createElement("script");
      script.onload = script.onerror = () => resolve(window.previews ?? {});
      script.src = new URL(`_static/previews/${name}.js`, root);
      document.head.append(script);
    });
    return loaded;
  }

  async function show(link, x) {
    const preview = (await load())[link.getAttribute("href")];
    if (wanted !== link || shown === link) return;
    hide();
    if (!preview) return;
    shown = link;
    card.innerHTML = preview;
    document.body.append(card);
    place(link, x);
    link.removeAttribute("title");   // or the browser shows a second card
    link.setAttribute("aria-describedby", card.id);
  }

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    card.remove();
  }

  // Under the link if there is room, else over it; beside the pointer where the link goes on in a second line.
  function place(link, x) {
    const view = document.documentElement;
    const lines = [...link.getClientRects()];
    const line = lines.find(({ left, right }) => left <= x && x <= right) ?? lines[0];
    const below = view.clientHeight - line.bottom - GAP - EDGE, above = line.top - GAP - EDGE;
    card.style.maxHeight = "";
    const under = card.offsetHeight <= below || below >= above;
    card.style.maxHeight = `${under ? below : above}px`;
    const top = under ? line.bottom + GAP : line.top - GAP - card.offsetHeight;
    const left = Math.max(EDGE, Math.min(line.left, view.clientWidth - card.offsetWidth - EDGE));
    card.style.left = `${left + scrollX}px`;
    card.style.top = `${top + scrollY}px`;
  }

  function want(link, delay, x) {
    if (link === wanted) return;
    wanted = link;
    clearTimeout(timer);
    timer = setTimeout(() => (link ? show(link, x) : hide()), delay);
    if (link) load();
  }

  const focused = () => document.activeElement.closest(`:is(${LINKS}):focus-visible`);

  document.addEventListener("pointerover", ({ target, pointerType, clientX }) => {
    if (pointerType === "touch") return;
    const link = card.contains(target) ? shown : target.closest(LINKS) ?? focused();
    want(link, link ? DELAY : GRACE, clientX);
  });
  document.documentElement.addEventListener("pointerleave", () => want(focused(), GRACE));
  document.addEventListener("focusin", () => focused() && want(focused(), DELAY));
  document.addEventListener("focusout", () => want(null, 0));
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    clearTimeout(timer);
    hide();   // `wanted` stays: the same link does not call its card again
  });
  document.addEventListener("click", ({ target }) => card.contains(target) || hide());
})();
