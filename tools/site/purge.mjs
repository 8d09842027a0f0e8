// node purge.mjs SITE SHEET: leave in the style sheet only what the site's pages and scripts can use.
import { writeFileSync } from "node:fs";
import { PurgeCSS } from "purgecss";

const [site, sheet] = process.argv.slice(2);
const [{ css }] = await new PurgeCSS().purge({
  content: [`${site}/*.html`, `${site}/book/**/*.html`, `${site}/_static/**/*.js`],
  css: [sheet],
  variables: false,
});
writeFileSync(sheet, css);
