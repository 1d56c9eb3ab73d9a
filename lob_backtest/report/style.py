"""The page's style sheet: system fonts, both colour schemes, tables that scroll by themselves."""

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "page": "#f6f7f9", "surface": "#ffffff", "ink": "#1a1f27", "muted": "#566070",
    "line": "#dde2e9", "accent": "#0b62d6", "good": "#116d3c", "good-wash": "#e4f5ea",
    "bad": "#b3201f", "bad-wash": "#fdeaea", "quiet": "#566070", "quiet-wash": "#eef1f5",
    "shade": "#c3cad4",
    "strategy-0": "#b35900", "strategy-1": "#7a4bc4", "strategy-2": "#0e8a8a",
    "strategy-3": "#b8327d", "strategy-4": "#5d8a1d", "strategy-5": "#8a6d3b",
    "strategy-6": "#64748b",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "page": "#0f1318", "surface": "#171c23", "ink": "#e8ecf1", "muted": "#9aa5b3",
    "line": "#2c343f", "accent": "#62a8ff", "good": "#5fd08e", "good-wash": "#12301f",
    "bad": "#ff8a85", "bad-wash": "#3a1a1b", "quiet": "#9aa5b3", "quiet-wash": "#222a33",
    "shade": "#07090c",
    "strategy-0": "#f0a04b", "strategy-1": "#b99bf5", "strategy-2": "#4ccaca",
    "strategy-3": "#f285bf", "strategy-4": "#a5cf62", "strategy-5": "#d3b680",
    "strategy-6": "#94a3b8",
}  # fmt: skip
N_STRATEGIES = 7


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


_RULES = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 12px; }
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
a { color: var(--accent); }
section > p, .note { color: var(--muted); margin: 2px 0 14px; max-width: 75ch; }
.note { font-size: 0.86rem; margin: 10px 0 0; }
.card {
  background: var(--surface); border: 1px solid var(--line); border-radius: 12px;
  padding: 16px 18px; min-width: 0;
}
.first { display: grid; gap: 12px; margin: 22px 0 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
.verdict { border-radius: 12px; padding: 16px 18px; background: var(--wash);
  border: 1px solid var(--tone); }
.verdict strong { display: block; font-size: 1.35rem; line-height: 1.15; letter-spacing: 0.03em;
  color: var(--tone); margin-bottom: 6px; }
.verdict p { margin: 0; }
.verdict p + p { margin-top: 6px; }
.verdict ul { margin: 8px 0 0; padding-left: 1.2em; font-size: 0.92rem; }
.good { --tone: var(--good); --wash: var(--good-wash); }
.bad { --tone: var(--bad); --wash: var(--bad-wash); }
.quiet { --tone: var(--quiet); --wash: var(--quiet-wash); }
.verdict.quiet { border-color: var(--line); }
nav { margin: 18px 0 0; font-size: 0.88rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0; padding: 0; }
nav a { text-decoration: none; display: inline-block; padding: 3px 0; }
.tiles { display: grid; gap: 12px; margin: 0;
  grid-template-columns: repeat(auto-fit, minmax(158px, 1fr)); }
.tile { padding: 12px 14px; }
.tile dt { color: var(--muted); font-size: 0.82rem; }
.tile dd { margin: 0; font-size: 1.4rem; font-weight: 650; letter-spacing: -0.01em;
  font-variant-numeric: tabular-nums; }
.tile dd small { display: block; font-size: 0.78rem; font-weight: 400; letter-spacing: 0;
  line-height: 1.4; color: var(--muted); }
.gates { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px; }
.gate { display: grid; gap: 2px 14px; grid-template-columns: 104px minmax(0, 1fr) auto;
  align-items: start; padding: 12px 16px; }
.gate h3 { margin: 0; font-size: 1rem; }
.gate h3 code { font-size: 0.78rem; font-weight: 400; color: var(--muted); margin-left: 6px; }
.gate p { margin: 0; font-size: 0.9rem; color: var(--muted); grid-column: 2 / -1;
  overflow-wrap: anywhere; }
.gate .figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.gate .figure span { color: var(--muted); font-size: 0.86rem; }
.gate.bad { border-color: var(--tone); }
.badge { display: inline-block; justify-self: start; border-radius: 999px;
  padding: 2px 11px; font-size: 0.8rem; font-weight: 650; white-space: nowrap;
  color: var(--tone); background: var(--wash); }
.questions { margin: 0; display: grid; gap: 12px 28px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.questions dt { font-weight: 650; font-size: 0.95rem; }
.questions dd { margin: 2px 0 0; font-size: 0.92rem; max-width: 70ch; }
.questions dd b { font-variant-numeric: tabular-nums; }
.plots { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); }
.plots.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.card + .card, .plots + .card, .card + .plots, .plots + .plots { margin-top: 14px; }
.tile.card, .gates .card, .plots .card { margin-top: 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.86rem; color: var(--muted); margin-top: 6px; }
svg { display: block; width: 100%; height: auto; margin: 0 auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans",
  sans-serif !important; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; list-style: none; margin: 0 0 14px;
  padding: 0; font-size: 0.86rem; }
.legend i { display: inline-block; width: 18px; height: 0; margin-right: 7px;
  border-top: 3px solid; vertical-align: middle; border-radius: 2px; }
.legend i.dashed { border-top-style: dashed; }
/* a shadow at the right while there is more to scroll to; the first layer scrolls over it */
.scroll { overflow-x: auto; padding: 4px 0;
  background:
    linear-gradient(to left, var(--surface) 40%, transparent) right / 40px 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat scroll; }
.tight th, .tight td { padding: 5px 9px; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 7px 9px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { white-space: normal; color: var(--muted); font-weight: 550; font-size: 0.8rem; }
tbody tr:last-child > * { border-bottom: 0; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--surface); }
tbody th { font-weight: 550; }
td small { display: block; color: var(--muted); font-size: 0.75rem; }
td.words { text-align: left; white-space: normal; min-width: 240px; }
tr.own > * { font-weight: 650; }
tr.own > td small { font-weight: 400; }
tr.faint > * { color: var(--muted); }
.gain { color: var(--good); } .loss { color: var(--bad); }
.confusion td { text-align: center; white-space: normal; min-width: 68px;
  background: color-mix(in srgb, var(--accent) var(--share), transparent); }
.confusion td b { display: block; font-size: 1.1rem; }
.confusion th { white-space: normal; }
.confusion thead th { text-align: center; }
.confusion thead th:first-child { text-align: left; }
dl.facts { display: grid; gap: 5px 20px; grid-template-columns: minmax(110px, max-content) 1fr;
  margin: 0; font-size: 0.9rem; }
dl.facts.two { grid-template-columns: repeat(2, minmax(110px, max-content) 1fr); }
dl.facts dt { color: var(--muted); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.facts + .plain, dl.facts + .note { margin-top: 12px; }
ul.plain { margin: 0; padding-left: 1.2em; }
ul.plain li { margin: 5px 0; max-width: 80ch; overflow-wrap: anywhere; }
.warnings { border-left: 4px solid var(--bad); padding-left: 12px; margin: 0 0 12px;
  list-style: none; font-size: 0.92rem; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--accent); font-size: 0.9rem; padding: 4px 0; }
pre { overflow-x: auto; font-size: 0.78rem; line-height: 1.45; background: var(--quiet-wash);
  border-radius: 8px; padding: 12px; margin: 10px 0 0; }
footer { margin-top: 40px; color: var(--muted); font-size: 0.82rem; }
@media (max-width: 640px) {
  main { padding: 18px 12px 40px; }
  h2 { margin-top: 36px; }
  .card { padding: 13px 13px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .tile { padding: 10px 12px; }
  .gate { grid-template-columns: minmax(0, 1fr) auto; }
  .gate h3, .gate p, .gate .figure { grid-column: 1 / -1; }
  .gate .figure { text-align: left; white-space: normal; }
  th, td { padding: 7px 6px; }
  .tight th, .tight td { padding: 5px 4px; }
  dl.facts { grid-template-columns: minmax(84px, 32%) minmax(0, 1fr); gap: 5px 12px; }
  dl.facts.two { grid-template-columns: minmax(84px, 32%) minmax(0, 1fr); }
}
@media print {
  body { background: #fff; }
  .card, .verdict { break-inside: avoid; }
  nav { display: none; }
}
"""

STYLE = (
    f"\n:root {{\n  color-scheme: light dark;\n  {_variables(LIGHT)}\n}}\n"
    f"@media (prefers-color-scheme: dark) {{\n  :root {{ {_variables(DARK)} }}\n}}\n{_RULES}"
)
