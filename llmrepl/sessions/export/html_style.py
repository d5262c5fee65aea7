"""Stylesheet of the HTML export: light and dark, responsive and printable."""

from __future__ import annotations

from pygments.formatters import HtmlFormatter

_PAGE = """
:root {
  color-scheme: light;
  --ground: #ffffff; --text: #1f2328; --soft: #59636e; --line: #d1d9e0;
  --user: #ddf0ff; --code: #f6f8fa; --link: #0757c2; --mark: #8a4600;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --ground: #14171c; --text: #e4e8ec; --soft: #9aa5b1; --line: #343c46;
    --user: #1c3a57; --code: #1e2329; --link: #7db8ff; --mark: #f0b26b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 50rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25; }
a { color: var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.system { margin-top: 1rem; font-size: .9rem; }
.system summary { color: var(--soft); cursor: pointer; }
.system .plain { margin-top: .5rem; padding: .75rem 1rem; border-left: 3px solid var(--line); }
main { margin: 2rem 0; padding-top: .5rem; border-top: 1px solid var(--line); }
.turn { padding: 1rem 0; }
.message + .message { margin-top: 1.25rem; }
.message h2 { margin: 0 0 .25rem; font-size: .8rem; font-weight: 600; color: var(--soft); }
.user { width: fit-content; max-width: 85%; margin-left: auto; }
.user h2 { text-align: right; }
.user .plain { padding: .6rem 1rem; border-radius: 1rem 1rem .25rem 1rem; background: var(--user); }
.plain { white-space: pre-wrap; }
.reply > :first-child { margin-top: 0; }
.reply > :last-child { margin-bottom: 0; }
.reply h1, .reply h2, .reply h3, .reply h4, .reply h5, .reply h6 {
  margin: 1.5rem 0 .5rem; line-height: 1.3; font-size: 1rem; font-weight: 600; color: inherit;
}
.reply h1 { font-size: 1.3rem; }
.reply h2 { font-size: 1.15rem; }
.reply ul, .reply ol { padding-left: 1.6rem; }
.reply blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line); color: var(--soft); }
.reply hr { border: 0; border-top: 1px solid var(--line); margin: 1.5rem 0; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { padding: .1em .35em; border-radius: .3rem; background: var(--code); font-size: .875em; }
pre { margin: 1rem 0; padding: .85rem 1rem; border-radius: .5rem; background: var(--code); overflow-x: auto; }
pre code { padding: 0; background: none; line-height: 1.5; overflow-wrap: normal; tab-size: 4; }
.wide { margin: 1rem 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.turns table { width: 100%; font-variant-numeric: tabular-nums; }
.turns h2 { margin: 0 0 .5rem; font-size: 1.1rem; }
.turns th { color: var(--soft); font-weight: 600; }
.turns .number { text-align: right; white-space: nowrap; }
.turns tfoot .number { border-bottom: 0; font-weight: 600; white-space: normal; }
.figures { margin: .6rem 0 0; font-size: .8rem; color: var(--soft); }
.mark { color: var(--mark); }
.undone .message { opacity: .6; }
@media (max-width: 40rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .user { max-width: 92%; }
  th, td { padding: .3rem .4rem; }
  .turns th, .turns td { padding: .3rem .2rem; }
  .turns table { font-size: .8rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  pre, .wide { overflow: visible; white-space: pre-wrap; }
  .user .plain, pre { border: 1px solid var(--line); }
  .user .plain, tr, .message h2 { break-inside: avoid; }
  h1, h2, h3, .message h2 { break-after: avoid; }
}
"""


def stylesheet() -> str:
    """Return the stylesheet, including code colors for light and dark mode."""
    return (
        f"{_PAGE}@media print, (prefers-color-scheme: light) {{\n{_code_styles('default')}\n}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{\n{_code_styles('github-dark')}\n}}\n"
    )


def _code_styles(style: str) -> str:
    formatter = HtmlFormatter(style=style)
    return "\n".join(formatter.get_token_style_defs("pre"))  # type: ignore[no-untyped-call]  # not in its stubs
