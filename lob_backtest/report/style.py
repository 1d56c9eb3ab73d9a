"""The page's style sheet: system fonts, both colour schemes, tables that scroll by themselves."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --surface: #ffffff; --ink: #1a1f27; --muted: #5b6573; --line: #dde2e9;
  --accent: #0b62d6; --accent-wash: 11 98 214;
  --good: #116d3c; --good-wash: #e4f5ea; --bad: #b3201f; --bad-wash: #fdeaea;
  --quiet: #5b6573; --quiet-wash: #eef1f5;
  --strategy-0: #b35900; --strategy-1: #7a4bc4; --strategy-2: #0e8a8a; --strategy-3: #b8327d;
  --strategy-4: #5d8a1d; --strategy-5: #8a6d3b; --strategy-6: #64748b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1318; --surface: #171c23; --ink: #e8ecf1; --muted: #9aa5b3; --line: #2c343f;
    --accent: #62a8ff; --accent-wash: 98 168 255;
    --good: #5fd08e; --good-wash: #12301f; --bad: #ff8a85; --bad-wash: #3a1a1b;
    --quiet: #9aa5b3; --quiet-wash: #222a33;
    --strategy-0: #f0a04b; --strategy-1: #b99bf5; --strategy-2: #4ccaca; --strategy-3: #f285bf;
    --strategy-4: #a5cf62; --strategy-5: #d3b680; --strategy-6: #94a3b8;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
    sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 56px; }
header p { margin: 4px 0 0; color: var(--muted); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.15rem; margin: 44px 0 4px; letter-spacing: -0.005em; }
h3 { font-size: 0.95rem; margin: 0 0 6px; }
section > p, .note { color: var(--muted); margin: 2px 0 14px; max-width: 75ch; }
.note { font-size: 0.86rem; margin: 10px 0 0; }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: 12px;
  padding: 16px 18px;
}
.verdict {
  display: flex; gap: 18px; align-items: center; margin: 22px 0 14px; border-radius: 12px;
  padding: 18px 20px; background: var(--wash); border: 1px solid var(--tone);
}
.verdict strong {
  font-size: 1.5rem; line-height: 1; letter-spacing: 0.04em; color: var(--tone);
}
.verdict p { margin: 0; }
.good { --tone: var(--good); --wash: var(--good-wash); }
.bad { --tone: var(--bad); --wash: var(--bad-wash); }
.quiet { --tone: var(--quiet); --wash: var(--quiet-wash); }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(158px, 1fr)); }
.tile { padding: 12px 14px; }
.tile dt { color: var(--muted); font-size: 0.82rem; }
.tile dd { margin: 0; font-size: 1.45rem; font-weight: 650; letter-spacing: -0.01em;
  font-variant-numeric: tabular-nums; }
.tile dd small { display: block; font-size: 0.78rem; font-weight: 400; letter-spacing: 0;
  color: var(--muted); }
.gates { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px; }
.gate { display: grid; gap: 2px 14px; grid-template-columns: 104px minmax(0, 1fr) auto;
  align-items: start; }
.gate h3 { margin: 0; font-size: 1rem; }
.gate h3 code { font-size: 0.78rem; font-weight: 400; color: var(--muted); margin-left: 6px; }
.gate p { margin: 0; font-size: 0.9rem; color: var(--muted); grid-column: 2 / -1; }
.gate .figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.gate .figure span { color: var(--muted); font-size: 0.86rem; }
.badge { display: inline-block; justify-self: start; border-radius: 999px;
  padding: 2px 11px; font-size: 0.8rem; font-weight: 650; white-space: nowrap;
  color: var(--tone); background: var(--wash); }
.plots { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.plots.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.card + .card, .plots + .card { margin-top: 14px; }
.tile.card, .gates .card, .plots .card { margin-top: 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.86rem; color: var(--muted); margin-top: 6px; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
  sans-serif !important; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; margin: 0 0 14px;
  padding: 0; font-size: 0.86rem; }
.legend i { display: inline-block; width: 18px; height: 0; margin-right: 7px;
  border-top: 3px solid; vertical-align: middle; border-radius: 2px; }
.scroll { overflow-x: auto; padding: 4px 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 8px 9px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { white-space: normal; color: var(--muted); font-weight: 550; font-size: 0.8rem; }
tbody tr:last-child > * { border-bottom: 0; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--surface); }
tbody th { font-weight: 550; }
td small { display: block; color: var(--muted); font-size: 0.75rem; }
tr.own > * { font-weight: 650; }
tr.own > td small { font-weight: 400; }
tr.total > * { border-top: 2px solid var(--line); }
.confusion td { text-align: center; white-space: normal; min-width: 72px;
  background: rgb(var(--accent-wash) / var(--share)); }
.confusion td b { display: block; font-size: 1.1rem; }
.confusion th { white-space: normal; }
.confusion thead th { text-align: center; }
.confusion thead th:first-child { text-align: left; }
dl.facts { display: grid; gap: 5px 20px; grid-template-columns: minmax(110px, max-content) 1fr;
  margin: 0; font-size: 0.9rem; }
dl.facts dt { color: var(--muted); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.facts code { font-size: 0.85em; }
ul.limits { margin: 0; padding-left: 1.2em; }
ul.limits li { margin: 5px 0; max-width: 80ch; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--accent); font-size: 0.9rem; }
pre { overflow-x: auto; font-size: 0.78rem; line-height: 1.45; background: var(--quiet-wash);
  border-radius: 8px; padding: 12px; margin: 10px 0 0; }
footer { margin-top: 40px; color: var(--muted); font-size: 0.82rem; }
@media (max-width: 640px) {
  main { padding: 18px 14px 40px; }
  .card { padding: 13px 14px; }
  .verdict { flex-direction: column; align-items: flex-start; gap: 8px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .gate { grid-template-columns: auto minmax(0, 1fr); }
  .gate h3, .gate .figure, .gate p { grid-column: 1 / -1; text-align: left; white-space: normal; }
  dl.facts { grid-template-columns: 1fr; gap: 0; }
  dl.facts dd { margin-bottom: 7px; }
}
@media print { body { background: #fff; } .card, .verdict { break-inside: avoid; } }
"""
