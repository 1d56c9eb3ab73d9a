"""Cards of anybody's: shown as they are meant, and harmless whatever they hold."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hfrun.hub.pages.allow_list import cleaned
from hfrun.hub.pages.card_html import (
    MAX_CHARACTERS,
    MAX_PLAIN_CHARACTERS,
    card_html,
    front_matter_error,
)
from hfrun.hub.pages.card_links import CardPlace
from hfrun.hub.pages.raw_html import DROPPED_WITH_CONTENT, TAGS

ATTRIBUTES = {
    "align", "alt", "class", "colspan", "height", "href", "id", "loading", "open", "rel",
    "rowspan", "src", "start", "title", "width",
}  # fmt: skip


class Seen(HTMLParser):
    """Every tag and text of a page, as another parser than the one that made it reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.events: list[tuple[str, ...]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.events.append(("open", tag))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.events.append(("close", tag))

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if data.strip():
            self.events.append(("text", " ".join(data.split())))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def shown(markdown: str, revision: str = "main") -> str:
    return card_html(markdown, repo_address="datasets/alice/ticks", revision=revision)


def assert_harmless(html: str) -> None:
    for tag, attributes in Seen(html).tags:
        assert tag in TAGS
        assert attributes.keys() <= ATTRIBUTES
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("id", "card-").startswith("card-")
        assert re.fullmatch(r"language-[\w+#.-]{1,30}", attributes.get("class", "language-x"))
        source, target = attributes.get("src"), attributes.get("href")
        if source is not None:
            assert source.startswith("/datasets/alice/ticks/resolve/main/")
            assert ".." not in unescape(source)
        if target is not None:
            # To a browser tabs and line ends are nothing, and a backslash is a slash.
            plain = re.sub(r"[\t\r\n]", "", target).strip().replace("\\", "/")
            scheme = re.match(r"([^/?#]*):", plain)
            assert scheme is None or scheme[1].lower() in ("http", "https", "mailto")
            assert not plain.startswith("//")
            assert attributes["rel"] == "nofollow noopener noreferrer"


FRAGMENTS = [
    *"<>[]()!*_`~'\"\\&=|#/:;-+.\n\t \x00\x0b\u2028\ufeff\u202e",
    *(f"<{tag}>" for tag in sorted({*TAGS, *DROPPED_WITH_CONTENT, "form", "input", "plaintext"})),
    *(f"</{tag}>" for tag in sorted({*TAGS, *DROPPED_WITH_CONTENT, "body", "html"})),
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src onerror=alert(1)>'>",
    "<a href='jav\tascript:alert(1)'>", "<a href='&#106;avascript:alert(1)'>", "<a href=/\\evil>",
    "[a](javascript:alert(1))", "[a](<java\nscript:x>)", "[a](data:text/html,x)", "[a](//evil)",
    "[a](vbscript:x)", "![a](data:image/svg+xml,x)", "![a](//evil/x.png)", "![a](/logout)",
    "![a](../../logout)", "![a](%2e%2e/%2e%2e/logout)", "![a](x.png \"t\")", "[a]: javascript:x",
    "![a](..%5c..%5clogout)", "<img src='https://evil/x.png'>", "<img src='a/../../b.png'>",
    "<img srcset='https://evil/x 2x'>", "<a style='position:fixed' id=top name=top class=x>",
    "[a](b.md)", "[a](https://x.example \"t\")", "<a href=b.md>", "<a href='https://x.example'>",
    "<img src=x.png>", "# a\n", "</a>", "[a]", "<https://x.example>", "<h1 id=top>",
    "<iframe src=//evil>", "<base href=//evil>", "<meta http-equiv=refresh>",
    "<link rel=stylesheet href=//evil>", "<form action=/logout><input>", "<!--", "-->", "<?", "<!",
    "<![CDATA[", "]]>", "```", "```<b>x", "- [ ] ", "> ", "\n\n", "    ", "| a | b |\n|--|:-:|\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=25).map("".join))
@example("<math><mtext><table><mglyph><style><!--</style><img title='--><img src onerror=x>'>")
@example('<noscript><p title="</noscript><img src=x onerror=alert(1)>">')
@example("<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>")
@example('[a](java\\\nscript:alert(1)) <a href="java&Tab;script&colon;alert(1)">')
def test_nothing_that_a_card_holds_runs_loads_or_leads_astray(card: str) -> None:
    assert_harmless(shown(card))


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=25).map("".join))
@example("<a href='/\t/evil'>b</a><img src=/datasets/alice/ticks/resolve/main/../../../logout>")
@example("<img src=/datasets/alice/ticks/resolve/main/%2e%2e/%2e%2e/logout><img src=x.png>")
def test_the_allow_list_alone_would_do_too(html: str) -> None:
    assert_harmless(cleaned(html, CardPlace(address="datasets/alice/ticks", revision="main")))


@given(st.text(alphabet="ab c*_~-\n>1.`+=", max_size=80))
def test_plain_markdown_reads_as_its_reference_renderer_has_it(card: str) -> None:
    """markdown-it-py 4.3, CommonMark with strikethrough."""
    reference = MarkdownIt("commonmark").enable("strikethrough")
    if card.lstrip().startswith("---"):
        card = "a\n\n" + card
    assert Seen(shown(card)).events == Seen(reference.render(card)).events


def test_a_card_as_people_write_them_reads_as_they_meant_it() -> None:
    card = """---
license: mit
---
# Ticks *of* a day

<p align="center" onclick="x()"><img src="plots/day.png" width=300 alt="A day"></p>

- [x] bids
- [ ] ~~asks~~

| rows | ticks |
|:-----|------:|
| 1    | 2     |

```python title="x"
a < b
```

<details open><summary>More</summary>

**Inside**

</details>
"""
    assert shown(card).split("\n") == [
        '<h1 id="card-ticks-of-a-day">Ticks <em>of</em> a day</h1>',
        '<p align="center"><img width="300" alt="A day" '
        'src="/datasets/alice/ticks/resolve/main/plots/day.png" loading="lazy"></p>',
        "<ul>",
        "<li>☑ bids</li>",
        "<li>☐ <s>asks</s></li>",
        "</ul>",
        "<table>",
        "<thead>",
        "<tr>",
        '<th align="left">rows</th>',
        '<th align="right">ticks</th>',
        "</tr>",
        "</thead>",
        "<tbody>",
        "<tr>",
        '<td align="left">1</td>',
        '<td align="right">2</td>',
        "</tr>",
        "</tbody>",
        "</table>",
        '<pre><code class="language-python">a &lt; b',
        "</code></pre>",
        '<details open=""><summary>More</summary>',
        "<p><strong>Inside</strong></p>",
        "</details>",
        "",
    ]


INSIDE = "/datasets/alice/ticks"


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("docs/a.md", f"{INSIDE}/blob/main/docs/a.md"),
        ("./docs/../b.md", f"{INSIDE}/blob/main/b.md"),
        ("docs/", f"{INSIDE}/tree/main/docs"),
        (".", f"{INSIDE}/tree/main"),
        ("docs/a.md?x=1#Some-part", f"{INSIDE}/blob/main/docs/a.md#card-Some-part"),
        ("a%20b%3Fc.md", f"{INSIDE}/blob/main/a%20b%3Fc.md"),
        ("#some-part", "#card-some-part"),
        ("/alice/model", "/alice/model"),
        ("https://example.org/a?b=c&d#e", "https://example.org/a?b=c&d#e"),
        ("mailto:a@example.org", "mailto:a@example.org"),
        ("../up.md", None),
        ("a/../../../up", None),
        ("%2e%2e/up", None),
        ("..%2f..%2fup", None),
        ("..%5cup", None),
        (".git/config", None),
        ("//evil.example/x", None),
        ("/\\evil.example/x", None),
        ("\\\\evil.example/x", None),
        ("http:/logout", None),
        ("https:evil", None),
        ("ftp://example.org", None),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("java\tscript:alert(1)", None),
        (" \x01javascript:alert(1)", None),
        ("VBScript:x", None),
        ("data:text/html,x", None),
        ("x" * 2_001, None),
    ],
)
def test_a_link_stays_in_the_repository_or_leads_plainly_out_of_it(
    target: str, address: str | None
) -> None:
    written = target.replace("\t", "&#9;").replace("\x01", "&#1;").replace("&d", "&amp;d")
    tags = Seen(shown(f'Here <a href="{written}">is it</a>.')).tags
    links = [attributes.get("href") for tag, attributes in tags if tag == "a"]
    assert links == ([] if address is None else [address])


def test_links_stay_in_the_revision_that_is_shown() -> None:
    html = shown("[a](b.md) ![c](d.png)", revision="run/1?#")
    assert f'href="{INSIDE}/blob/run%2F1%3F%23/b.md"' in html
    assert f'src="{INSIDE}/resolve/run%2F1%3F%23/d.png"' in html


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("https://x.example/b.svg",
         '<a href="https://x.example/b.svg" rel="nofollow noopener noreferrer">Word</a>'),
        ("//x.example/b.png", "Word"),
        ("/logout", "Word"),
        ("/datasets/alice/ticks/settings", "Word"),
        ("../../../logout", "Word"),
        ("data:image/png;base64,AAAA", "Word"),
        ("javascript:alert(1)", "Word"),
        ("", "Word"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["![Word](<{}>)", 'a <img alt="Word" src="{}">'])
def test_images_that_are_not_of_the_repository_are_words_and_load_nothing(
    source: str, html: str, form: str
) -> None:
    if form.startswith("!") and source.startswith("javascript"):
        return  # to Markdown this is no image, and it stays as it was written
    assert shown(form.format(source)) in (f"<p>{html}</p>\n", f"<p>a {html}</p>\n")


def test_a_badge_in_a_link_leaves_the_link() -> None:
    html = shown("[![build](https://x.example/b.svg)](https://y.example)")
    rel = 'rel="nofollow noopener noreferrer"'
    assert html == f'<p><a href="https://y.example" {rel}>build</a></p>\n'
    raw = shown('x <a href="https://y.example"><img src="https://x.example/b.svg" alt="build"></a>')
    assert raw == f'<p>x <a href="https://y.example" {rel}>build</a></p>\n'


def test_an_image_that_may_not_be_shown_is_a_link_to_its_page() -> None:
    asked: list[str] = []

    def shows_image(path: str) -> bool:
        asked.append(path)
        return path == "small.png"

    html = card_html(
        "![a](small.png) ![b](huge.png) ![b](./huge.png)",
        repo_address="alice/m",
        revision="main",
        shows_image=shows_image,
    )
    assert asked == ["small.png", "huge.png"]
    assert html.count("<img") == 1
    assert html.count('<a href="/alice/m/blob/main/') == 2


def test_of_many_images_a_hundred_are_shown() -> None:
    html = shown("\n\n".join(f"![a]({i}.png)" for i in range(120)))
    assert (html.count("<img"), html.count("<a ")) == (100, 20)


def test_equal_headings_have_ids_of_their_own() -> None:
    html = shown('# A b!\n# A b\n## <h1 id="top">x</h1>\n')
    assert re.findall(r'id="([^"]*)"', html) == ["card-a-b", "card-a-b-1", "card-h1-idtopxh1"]


@pytest.mark.parametrize("tag", sorted(DROPPED_WITH_CONTENT))
def test_elements_that_are_no_text_go_with_their_content(tag: str) -> None:
    assert "hidden" not in shown(f"a <{tag}>hidden *hidden*</{tag}> b")
    assert "hidden" not in shown(f"<{tag}>\nhidden\n</{tag}>\n\nb")
    assert shown(f"a <{tag}>hidden\n\nb").endswith("<p>b</p>\n")  # an open one hides no more


def test_what_a_card_leaves_open_ends_with_it() -> None:
    html = shown('<b>x\n\ny <i>z\n\n<div align="center">\n\nw\n\n</details></table></body></html>')
    assert html.count("<b>") == html.count("</b>") == 1
    assert "<p>y <i>z</i></p>" in html
    assert html.rstrip().endswith("</div>")


# Bounded work

BOMBS = {
    "quotes": ">" * 100_000,
    "brackets": "[" * 40_000,
    "stars": "a**b" * 12_000,
    "stars in a row": ("*" * 49_000 + "a\n\n") * 4,
    "back ticks": "".join("`" * (i % 300) + " " for i in range(300)),
    "nested images": "![" * 8_000 + "](x)" * 8_000,
    "nested links": "[" * 9_000 + "](x)" * 9_000,
    "nested lists": "".join(" " * (2 * i) + "- a\n" for i in range(400)),
    "open comments": "<!--\n\n" * 20_000,
    "open titles": '[a]: b "' + "x\n" * 20_000,
    "one paragraph": "word " * 30_000,
    "lines": "\n" * 200_000,
    "paragraphs": "a\n\n" * 50_000,
    "wide table": "|".join("a" * 900) + "\n" + "|".join("-" * 900) + "\n" + "|\n" * 20_000,
    "entities": "&amp;" * 30_000,
    "html": "<div><p>" * 20_000,
    "html lists": "<li>" * 30_000,
    "html tables": "<table><tr><td>" * 10_000,
    "html blocks": "<details>\n\n" * 10_000,
}


@pytest.mark.parametrize("card", BOMBS.values(), ids=BOMBS.keys())
def test_a_card_made_to_cost_much_is_shown_all_the_same(card: str) -> None:
    html = shown(card)
    assert_harmless(html)
    assert len(html) <= 6 * len(card) + 100


@pytest.mark.parametrize(
    "card",
    [
        "[a]: <https://x.example/" + "y" * 1_900 + ">\n\n" + "[a] " * 12_000,
        '<div>\n<a href="https://x.example/' + "y" * 1_900 + '">' + "<p>x" * 40_000,
        "<p>" + "".join(f'<font><b><abbr title="{i}">' for i in range(4_000)) + "<p>x" * 20_000,
        "".join(f"<b><i title={i}>x</b>" for i in range(10_000)),
    ],
    ids=["references", "copied links", "copied phrases", "crossed phrases"],
)
def test_a_short_card_does_not_become_a_long_page(card: str) -> None:
    html = shown(card)
    assert_harmless(html)
    assert len(html) <= 6_000_000


def test_a_long_card_is_shown_as_text_and_cut() -> None:
    whole = shown("*a* <b>\n\n" * 20_000)
    assert whole.startswith("<pre>*a* &lt;b&gt;\n\n*a*")
    assert "…" not in whole
    html = shown("x" * (MAX_CHARACTERS + 1))
    assert html == f"<pre>{'x' * MAX_PLAIN_CHARACTERS}…</pre>\n"


def test_a_broken_front_matter_is_named_and_the_card_is_shown() -> None:
    broken = "---\nlicense: [mit\n---\n# Ticks\n"
    error = front_matter_error(broken)
    assert error is not None
    assert re.fullmatch(r"the metadata is not valid YAML: [^\n]*", error)
    assert shown(broken) == '<h1 id="card-ticks">Ticks</h1>\n'
    assert front_matter_error("---\n- a\n---\n") == (
        "the metadata is not a mapping of keys to values"
    )
    assert front_matter_error("---\na: b\n# Ticks\n") == (
        "the metadata begins with a line --- but no second such line ends it"
    )
    assert front_matter_error("---\na: b\n---\n") is None
    assert front_matter_error("---\n\nA rule above.") is None
    assert front_matter_error("# Ticks") is None


@given(st.text(max_size=60).map("---\n{}\n---\nend".format))
def test_any_front_matter_is_left_out_and_any_error_of_it_is_one_short_line(card: str) -> None:
    error = front_matter_error(card)
    assert error is None or (len(error) <= 300 and "\n" not in error)
    assert Seen(shown(card)).words[-2].strip().endswith("end")


def test_half_a_surrogate_is_no_text_and_no_error() -> None:
    assert shown("a \ud800") == "<p>a ?</p>\n"
