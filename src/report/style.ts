/**
 * The style sheet: light and dark, screen and paper, desk and phone. No fonts and no pictures from elsewhere.
 *
 * @module
 */

const LIGHT =
  `--paper:#fff;--panel:#f6f7f9;--ink:#1b2430;--soft:#566274;--rule:#d5dae2;--accent:#1d4f91;--pale:#8fb0da;` +
  `--good:#17683f;--good-ground:#eaf5ee;--open:#7a5200;--open-ground:#fbf4e3;--bad:#9c2121;--bad-ground:#fbecec;`;
const DARK =
  `--paper:#12161c;--panel:#1b212a;--ink:#e7ebf1;--soft:#a3aebd;--rule:#343d4a;--accent:#86b4f0;--pale:#4a6f9f;` +
  `--good:#7fd1a3;--good-ground:#14281e;--open:#e8c26b;--open-ground:#2c2412;--bad:#f29b9b;--bad-ground:#331a1a;`;

/** The content of the page's style element. */
export const STYLE = `
:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif;overflow-wrap:anywhere}
main{max-width:820px;margin:0 auto;padding:32px 20px 48px}
h1,h2{font-family:Georgia,"Times New Roman","Liberation Serif",serif;font-weight:600;line-height:1.2}
h1{font-size:2.3rem;margin:0 0 16px}
h2{font-size:1.45rem;margin:34px 0 8px;padding-top:18px;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:20px 0 4px}
p{margin:8px 0}
.kicker{color:var(--soft);letter-spacing:.04em;margin:0 0 2px}
.small,figcaption,caption{color:var(--soft);font-size:.875rem}
.verdict{border-left:6px solid;border-radius:4px;padding:12px 18px;margin:0 0 20px}
.verdict p{margin:6px 0;color:var(--ink)}
.verdict .verdict-title{font-size:1.3rem;font-weight:650;margin:0 0 4px;color:inherit;line-height:1.3}
.good{background:var(--good-ground);border-color:var(--good);color:var(--good)}
.open{background:var(--open-ground);border-color:var(--open);color:var(--open)}
.bad{background:var(--bad-ground);border-color:var(--bad);color:var(--bad)}
.note{background:var(--panel);border-left:4px solid var(--soft);padding:8px 14px;border-radius:4px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));column-gap:32px;margin:14px 0}
.facts div{display:grid;grid-template-columns:7.6rem 1fr;gap:10px;padding:6px 0;border-bottom:1px solid var(--rule)}
dt{color:var(--soft)}
dd{margin:0}
.scroll{overflow-x:auto;margin:14px 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;overflow-wrap:normal}
caption{text-align:left;padding-bottom:4px}
th,td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:500;font-size:.875rem;vertical-align:bottom}
tbody th{font-weight:500}
.right{text-align:right}
figure{margin:12px 0}
figure>svg{width:100%;max-width:600px}
figure h3{margin:0}
svg{display:block;overflow:visible}
svg text{fill:var(--ink);font-family:inherit;unicode-bidi:isolate}
.tick{font-size:11.5px;fill:var(--soft)}
.name{font-size:13px}
.small.name,.number{font-size:12.5px}
.name,.number{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}
.number{fill:var(--ink);font-variant-numeric:tabular-nums}
.grid{stroke:var(--rule);stroke-width:1}
.curve{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.last{fill:var(--accent)}
.interval{stroke:var(--ink);stroke-width:1.6}
.moved{stroke:var(--accent);stroke-width:2}
.mark{stroke:var(--accent);stroke-width:2}
.mark.logged{fill:var(--paper)}
.mark.previous{fill:var(--pale)}
.mark.version{fill:var(--accent)}
.bar{stroke:var(--accent);stroke-width:1.2}
.bar.logged{fill:var(--paper)}
.bar.version{fill:var(--accent)}
.hatch-ground{fill:var(--paper)}
.hatch{stroke:var(--accent);stroke-width:3.4}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:8px 36px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:6px 24px;padding:0;margin:12px 0}
.legend li{display:flex;align-items:center;gap:8px}
.swatch{width:22px;height:12px;flex:none}
.sample{width:16px;height:16px;flex:none}
.changes{list-style:none;padding:0;margin:18px 0;counter-reset:query}
.changes>li{counter-increment:query;display:grid;grid-template-columns:minmax(0,1fr) 310px;gap:6px 28px;align-items:center;padding:14px 0;border-top:1px solid var(--rule)}
.query-text{margin:0}
.query-text::before{content:counter(query) ". ";color:var(--soft)}
.query p,.answers{margin:2px 0}
.answers{padding:0;list-style:none;font-size:.9rem}
footer{margin-top:48px;padding-top:14px;border-top:1px solid var(--rule);color:var(--soft);font-size:.875rem}
.terms div{padding:5px 0}
.terms dt{color:var(--ink);font-weight:600}
@media (max-width:700px){main{padding:20px 16px 32px}h1{font-size:1.9rem}.changes>li{grid-template-columns:1fr}.weights{max-width:360px}.facts div{grid-template-columns:7.4rem 1fr}}
@media print{:root{color-scheme:light;${LIGHT}}@page{margin:17mm 15mm}body{font-size:10.5pt}main{max-width:none;padding:0}h2{margin-top:22px;padding-top:12px}h2,h3,.legend,section>p{break-after:avoid}.changes>li{grid-template-columns:minmax(0,1fr) 250px;padding:9px 0}p{break-inside:avoid}figure,.verdict,.changes>li,.scroll,tr,.facts div,.terms div{break-inside:avoid}figure>svg{max-width:430px}.charts{grid-template-columns:1fr 1fr}.scroll{overflow:visible}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;
