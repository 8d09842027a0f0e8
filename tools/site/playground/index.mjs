// Makes every playground of the page live: when it comes near, and the page has loaded and rests; or
// at once when the reader reaches for it.
import { mount } from "./component.mjs";

const NEAR = "300px";

const loaded = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  else addEventListener("load", resolve, { once: true });
});

/* When the browser has nothing else to do, or after a while. */
const idle = () => new Promise((resolve) => {
  if (window.requestIdleCallback) requestIdleCallback(resolve, { timeout: 1500 });
  else setTimeout(resolve, 200);
});

/* Lets the browser draw, and do other things, between two parts of the work. */
const pause = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

for (const figure of document.querySelectorAll("figure.playground:not(.pg-still)")) {
  let living = null;   // a promise of the function that opens a situation in the figure
  const begin = () => {
    watch.disconnect();
    return living ??= mount(figure, pause);
  };
  const watch = new IntersectionObserver(async (entries) => {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    await loaded;
    await idle();
    begin();
  }, { rootMargin: NEAR });
  watch.observe(figure);
  for (const event of ["pointerdown", "pointerover", "focusin", "keydown"]) {
    figure.addEventListener(event, begin, { once: true, passive: true });
  }
  openHere(figure, begin);
}

/* Links to a situation of this very page open it in the figure, and the browser's back button leads back. */
function openHere(figure, begin) {
  let questions = 0;
  document.querySelector("article").addEventListener("click", async (event) => {
    const link = event.target.closest("a[href*='?']");
    if (!link || link.pathname !== location.pathname || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const block = figure.contains(link) ? null : link.closest("p");
    if (block) block.id ||= `question-${questions += 1}`;
    history.pushState(null, "", link.search);
    (await begin())(link.search, block && { text: link.textContent, id: block.id });
    figure.tabIndex = -1;
    figure.focus({ preventScroll: true });
    figure.scrollIntoView();
  });
  addEventListener("popstate", async () => {
    if (figure.hasAttribute("data-ready")) (await begin())(location.search);
  });
}
