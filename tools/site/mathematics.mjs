// Typesets: one JSON request a line, {tex, display}, one JSON answer a line, {mathml} or {error}.
// With the argument "font" instead: reads {font, text} from standard input, writes the subset as WOFF2.
import { readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import subsetFont from "subset-font";
import temml from "temml";

// The site's policy allows no style attributes: the few that Temml writes become classes.
const CLASSES = {
  "display:block math;": "", // class tml-display
  "padding-left:0em;padding-right:0em;": "tml-tight",
  "padding-left:1em;padding-right:0em;": "tml-apart",
  "math-depth:0;": "tml-text-size",
};

function withoutStyles(mathml) {
  return mathml.replace(/<(\w+)((?: [\w-]+="[^"]*")*)>/g, (tag, name, attributes) => {
    if (!attributes.includes(' style="')) return tag;
    const style = attributes.match(/ style="([^"]*)"/)[1];
    if (!(style in CLASSES)) throw new Error(`no class stands for the style "${style}"`);
    const names = [attributes.match(/ class="([^"]*)"/)?.[1], CLASSES[style]].filter(Boolean).join(" ");
    const others = attributes.replace(/ (style|class)="[^"]*"/g, "");
    return `<${name}${others}${names && ` class="${names}"`}>`;
  });
}

// A row of `aligned` that goes on with + or − begins with a binary sign, not with the sign of a number.
const SIGN = /(<mtd class="tml-left tml-tight">(?:<mrow>|<mspace[^>]*><\/mspace>)*)<mo(?: form="prefix" stretchy="false")?>([+−±∼])/g;
const infix = (mathml) => mathml.replace(SIGN, '$1<mo form="infix">$2');

// Chromium leaves room behind every root for the widest sign that the font has; most roots take the narrowest one.
const ROOT = /<msqrt>((?:(?!<\/?msqrt>).)*)<\/msqrt>/g;
const HIGH = /<msup><mrow><mo fence="true"|<msub(sup)?><mi>[βλ]/; // brackets with an exponent, tall letters with an index
const roots = (mathml) => mathml.replace(ROOT, (root, inside) => {
  if (inside.includes("<mfrac")) return root;
  return `<msqrt class="${HIGH.test(inside) ? "tml-root-2" : "tml-root-1"}">${inside}</msqrt>`;
});

function typeset({ tex, display }) {
  try {
    const mathml = temml.renderToString(tex, { displayMode: display, throwOnError: true, strict: true, wrap: "tex" });
    return { mathml: roots(infix(withoutStyles(mathml))) };
  } catch (error) {
    return { error: error.message };
  }
}

if (process.argv[2] === "font") {
  const { font, text } = JSON.parse(readFileSync(0, "utf8"));
  process.stdout.write(await subsetFont(readFileSync(font), text, { targetFormat: "woff2" }));
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    writeSync(1, JSON.stringify(typeset(JSON.parse(line))) + "\n");
  }
}
