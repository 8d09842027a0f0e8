// What readers who use a keyboard need and styles cannot give.
(() => {
  // Tab reaches whatever scrolls, so that the arrow keys can move it: also what a solution unfolds, or a phone narrows.
  const scrolls = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
  const watcher = new ResizeObserver((changes) => {
    for (const { target } of changes) target.tabIndex = scrolls(target) ? 0 : -1;
  });
  for (const box of document.querySelectorAll(".bd-article :is(div, pre, table)")) {
    if (/auto|scroll/.test(getComputedStyle(box).overflowX)) watcher.observe(box);
  }

  // The theme takes the focus away from its own buttons when they are pressed: for a mouse only.
  const buttons = ".theme-switch-button, .search-button, .primary-toggle, .secondary-toggle";
  for (const button of document.querySelectorAll(buttons)) {
    let byKeyboard = false;
    button.addEventListener("keydown", () => (byKeyboard = true));
    button.addEventListener("pointerdown", () => (byKeyboard = false));
    button.blur = () => byKeyboard || HTMLElement.prototype.blur.call(button);
  }

  // Sections that come near are laid out only then, and may push what has the focus off the screen: back to it.
  function follow(target, times = 5) {
    if (!times || target !== document.activeElement || !target.matches(":focus-visible")) return;
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
    requestAnimationFrame(() => requestAnimationFrame(() => follow(target, times - 1)));
  }
  document.querySelector("main").addEventListener("focusin", ({ target }) => requestAnimationFrame(() => follow(target)));

  // The same for what a link leads to: where it stands is known when all before it is laid out.
  function arrive(target, times = 8) {
    if (!times || document.getElementById(decodeURIComponent(location.hash.slice(1))) !== target) return;
    target.scrollIntoView({ behavior: "instant" });
    requestAnimationFrame(() => requestAnimationFrame(() => arrive(target, times - 1)));
  }
  const go = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) arrive(target);
  };
  addEventListener("hashchange", go);
  addEventListener("load", go);

  // What copies puts the focus into a field that is gone afterwards: back to the button.
  document.addEventListener("click", (event) => {
    event.composedPath().find((each) => each.matches?.(".copybtn"))?.focus({ preventScroll: true });
  });
})();
