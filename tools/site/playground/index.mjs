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
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    watch.disconnect();
    mount(figure, pause);
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
}
