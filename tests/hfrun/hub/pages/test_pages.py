"""What the pages show, and to whom: asked for by raw HTTP as a browser without JavaScript does."""

import re
from html import unescape
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfrun.hub.names import RepoId
from hfrun.hub.pages.rendering import PAGE_POLICY
from hfrun.hub.store.hub_store import HubStore
from hfrun.hub.store.repository import Repository
from tests.hfrun.hub.conftest import HubUnderTest
from tests.hfrun.hub.pages.furnished import (
    HIDDEN,
    MANY_COMMITS,
    ODD_NAME,
    REPORT_HTML,
    TURNED_NAME,
    Visitor,
    visitor,
)

WALKER = "/alice/walker"
PAGES = (
    "/", "/models", "/datasets", "/spaces", "/alice", "/login", WALKER, f"{WALKER}/tree/main",
    f"{WALKER}/tree/main/notes", f"{WALKER}/blob/main/notes/first.txt", f"{WALKER}/commits/main",
    f"{WALKER}/commit/main", f"{WALKER}/report/main", f"{WALKER}/discussions",
    f"{WALKER}/discussions/1", "/alice/hostile", "/alice/hostile/tree/main",
    "/alice/hostile/commits/main", "/alice/hostile/commit/main", "/alice/hostile/discussions",
    "/alice/hostile/discussions/1", "/alice/hostile/report/main", "/bob/gated",
    "/datasets/alice/ticks", "/datasets/alice/ticks/blob/main/train.csv",
    "/alice/hostile/blob/main/small.png", "/alice/missing", "/no/such/page/at/all",
)  # fmt: skip


@pytest.fixture(scope="module")
def anyone(furnished: HubUnderTest) -> Visitor:
    return visitor(furnished)


@pytest.fixture(scope="module")
def alice(furnished: HubUnderTest) -> Visitor:
    return visitor(furnished, furnished.alice)


def repository(hub: HubUnderTest, name: str, *, kind: str = "models") -> Repository:
    namespace, name = name.split("/")
    return HubStore(hub.root).open(RepoId(kind=kind, namespace=namespace, name=name))


def listed(page: str) -> list[str]:
    """Ids of the repositories of an index, in order."""
    return re.findall(r'<h2><a href="/[^"]*">([^<]*)</a></h2>', page)


def words(page: str) -> str:
    """The text of a page, its white space single."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


# The index


def test_the_index_lists_all_that_the_visitor_may_see(anyone: Visitor, alice: Visitor) -> None:
    public = {"alice/walker", "alice/long-history", "alice/ticks", "alice/hostile", "desk/better",
              "bob/gated"}  # fmt: skip
    assert set(listed(anyone.text("/"))) == public
    assert set(listed(alice.text("/"))) == {*public, "alice/secret"}
    assert listed(anyone.text("/datasets")) == listed(anyone.text("/?kind=datasets"))
    assert listed(anyone.text("/datasets")) == ["alice/ticks"]
    assert set(listed(anyone.text("/ALICE"))) == {i for i in public if i.startswith("alice/")}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name", ["alice/hostile", "alice/long-history", "alice/walker", "bob/gated",
                       "desk/better"]),
        ("sort=name&order=descending", ["desk/better", "bob/gated", "alice/walker",
                                        "alice/long-history", "alice/hostile"]),
        ("q=limit-order&sort=name", ["alice/walker", "desk/better"]),
        ("q=LONG history", ["alice/long-history"]),
        ("tag=deeplob", ["alice/walker"]),
        ("tag=limit-order-book&sort=accuracy", ["desk/better", "alice/walker"]),
        ("tag=limit-order-book&sort=accuracy&order=ascending", ["alice/walker", "desk/better"]),
        # less of a Brier score is better
        ("tag=limit-order-book&sort=brier", ["desk/better", "alice/walker"]),
        ("tag=limit-order-book&sort=brier&order=descending", ["alice/walker", "desk/better"]),
        # what lacks the figure comes last in any order
        ("tag=limit-order-book&sort=sharpe", ["alice/walker", "desk/better"]),
        ("tag=limit-order-book&sort=sharpe&order=ascending", ["alice/walker", "desk/better"]),
        ("tag=limit-order-book&sort=gates", ["desk/better", "alice/walker"]),
        ("tag=limit-order-book&sort=gates&order=ascending", ["alice/walker", "desk/better"]),
        ("q=nothing-is-called-so", []),
    ],
)  # fmt: skip
def test_models_are_searched_filtered_and_sorted(
    anyone: Visitor, query: str, expected: list[str]
) -> None:
    assert listed(anyone.text(f"/models?{quote(query, safe='=&')}")) == expected


def test_the_last_change_comes_first_unless_asked_otherwise(
    furnished: HubUnderTest, anyone: Visitor
) -> None:
    ids = listed(anyone.text("/models?sort=name"))
    dates = {}
    for repo_id in ids:
        found = repository(furnished, repo_id)
        dates[repo_id] = found.commit(found.head("main")).date
    assert listed(anyone.text("/models")) == sorted(ids, key=lambda i: dates[i], reverse=True)
    assert listed(anyone.text("/models?order=ascending")) == sorted(ids, key=lambda i: dates[i])


def test_a_row_shows_badge_figures_and_intervals(anyone: Visitor) -> None:
    shown = words(anyone.text("/models?tag=deeplob&sort=brier"))
    assert "alice/walker gates fail changed 20" in shown
    assert (
        "Brier score 0.660 0.640 to 0.670 Accuracy 0.350 0.270 to 0.440 F1 weighted 0.280 "
        "0.200 to 0.360"
    ) in shown
    assert '<option value="sharpe">Sharpe</option>' in anyone.text("/")


def test_an_index_without_repositories_tells_how_to_push(anyone: Visitor) -> None:
    shown = words(anyone.text("/spaces"))
    assert "No spaces yet" in shown
    assert "hfrun hub token create alice --root DIR" in shown
    assert f"export HF_ENDPOINT={anyone.hub.endpoint}" in shown
    assert "Nothing found" in words(anyone.text("/spaces?q=x"))


def test_an_account_that_is_none_is_no_page(anyone: Visitor) -> None:
    assert anyone.get("/nobody").status == 404
    assert "No repositories that you may see" in words(anyone.text("/carol"))


# A repository


def test_the_first_page_shows_card_gates_figures_and_how_to_load(anyone: Visitor) -> None:
    page = anyone.text(WALKER)
    shown = words(page)
    assert "Judged by a walk-forward . The notes" in shown
    assert "license: mit" not in shown  # the front matter is no text
    assert f'href="{WALKER}/blob/main/notes/first.txt"' in page
    assert "Lift of F1 −0.1 0.02 fail" in shown
    assert "Accuracy 0.350 0.270 to 0.440" in shown
    assert "the lift is -0.1" in shown
    assert f"export HF_ENDPOINT={anyone.hub.endpoint}" in shown
    assert (
        "import hfrun.models # registers the model with the Auto classes from transformers import "
        "AutoModelForSequenceClassification model = "
        'AutoModelForSequenceClassification.from_pretrained("alice/walker")'
    ) in shown
    assert 'load_dataset("alice/ticks")' in words(anyone.text("/datasets/alice/ticks"))


def test_a_revision_is_one_segment_and_stays_chosen_on_every_page(anyone: Visitor) -> None:
    for address in (f"{WALKER}?revision=run%2F1", f"{WALKER}/tree/run%2F1",
                    f"{WALKER}/commits/run%2F1", f"{WALKER}/tree/run%2F1/notes"):  # fmt: skip
        page = anyone.text(address)
        assert f'href="{WALKER}/tree/run%2F1"' in page, address
        assert "Revision run/1" in words(page), address
    assert 'revision="run/1"' in words(anyone.text(f"{WALKER}?revision=run%2F1")).replace("'", '"')
    assert "branch.txt" in anyone.text(f"{WALKER}/tree/run%2F1")
    assert "branch.txt" not in anyone.text(f"{WALKER}/tree/main")
    assert anyone.get(f"{WALKER}/tree/run/1").status == 404
    assert anyone.get(f"{WALKER}/tree/missing").status == 404


def test_a_folder_lists_names_sizes_and_the_commits_that_changed_them(anyone: Visitor) -> None:
    shown = words(anyone.text(f"{WALKER}/tree/main"))
    rows = (
        "notes / Change what a pull request changed",
        "README.md Push the run walker",
        "model.safetensors LFS Push the run walker",
        "config.json Put the config back",
    )
    for row in rows:
        assert row in shown, row
    assert "1.5 kB" in shown
    assert words(anyone.text(f"{WALKER}/tree/main/notes")).count("first.txt") == 1
    assert anyone.get(f"{WALKER}/tree/main/missing").status == 404
    to_file = anyone.get(f"{WALKER}/tree/main/README.md")
    assert (to_file.status, to_file.headers["Location"]) == (307, f"{WALKER}/blob/main/README.md")
    to_folder = anyone.get(f"{WALKER}/blob/main/notes")
    assert (to_folder.status, to_folder.headers["Location"]) == (307, f"{WALKER}/tree/main/notes")


def test_a_file_is_shown_and_its_link_gives_its_bytes(anyone: Visitor) -> None:
    page = anyone.text(f"{WALKER}/blob/v1.0/notes/first.txt")
    assert "<code>one\ntwo\nthree\n</code>" in page
    link = re.search(r'href="([^"]*)" download', page)
    assert link is not None
    assert anyone.get(link[1]).body == b"one\ntwo\nthree\n"
    table = anyone.text("/datasets/alice/ticks/blob/main/train.csv")
    assert re.findall(r"<th[^>]*>([^<]*)</th>", table) == ["time", "price"]
    assert re.findall(r"<td>([^<]*)</td>", table) == ["1", "100", "2", "101"]


def test_names_that_try_to_be_markup_or_to_turn_the_text_are_shown_as_they_are(
    anyone: Visitor,
) -> None:
    page = anyone.text("/alice/hostile/tree/main")
    assert "invoice[U+202E]gnp.txt" in page
    assert "\u202e" not in page
    folder = anyone.text("/alice/hostile/tree/main/odd")
    assert "<b>name" not in folder
    assert unescape(folder).count(ODD_NAME) == 1
    for path in (f"odd/{ODD_NAME}", TURNED_NAME):
        address = f"/alice/hostile/blob/main/{quote(path)}"
        assert anyone.get(address).status == 200, path
    for address in ("", "/tree/main", "/commits/main", "/commit/main", "/discussions"):
        page = anyone.text(f"/alice/hostile{address}")
        assert "\u202e" not in page, address
        assert not re.search(r"<(script|base|meta http|form action|object|embed|svg onload)", page)
    branch = quote("a/<b>\"'&c", safe="")
    assert "Revision a/<b>\"'&c" in words(anyone.text(f"/alice/hostile/tree/{branch}"))


def test_history_is_paged_and_whole(furnished: HubUnderTest, anyone: Visitor) -> None:
    address: str | None = "/alice/long-history/commits/main"
    titles = []
    while address is not None:
        page = anyone.text(address)
        titles += re.findall(r'<a class="commit-title" [^>]*><bdi>([^<]*)</bdi>', page)
        link = re.search(r'rel="next" href="([^"]*)"', page)
        address = unescape(link[1]) if link else None
    found = repository(furnished, "alice/long-history")
    assert titles == [commit.title for commit in found.history(found.head("main"))]
    assert len(titles) == MANY_COMMITS
    assert anyone.get("/alice/walker/commits/main?from=zz").status == 404


def test_a_commit_shows_what_it_changed_line_by_line(
    furnished: HubUnderTest, anyone: Visitor
) -> None:
    found = repository(furnished, "alice/walker")
    mend = next(c for c in found.history(found.head("main")) if c.title == "Mend the notes")
    page = anyone.text(f"{WALKER}/commit/{mend.id}")
    heads = re.findall(r'<h3 class="change-head">(.*?)</h3>', page, flags=re.DOTALL)
    assert [words(head) for head in heads] == [
        "deleted config.json 49 B",
        "modified notes/first.txt 14 B to 12 B",
        "added notes/second.txt 4 B",
    ]
    lines = re.findall(r'<span class="(?:add|del|at|)">(.*)\n', page)
    config = '- {"model_type": "deeplob", "architectures": ["X"]}'
    assert [unescape(line) for line in lines] == [
        *("@ line 1", config),
        *("@ line 1", "  one", "- two", "+ 2", "  three"),
        *("@ line 1", "+ new"),
    ]
    first = next(c for c in found.history(mend.id) if c.title == "Push the run walker")
    shown = words(anyone.text(f"{WALKER}/commit/{first.id}"))
    assert "Push the run walker The whole message. alice" in shown


# The report


def test_the_report_is_framed_and_can_do_nothing_even_alone(anyone: Visitor) -> None:
    page = anyone.text(f"{WALKER}/report/main")
    frame = re.search(r'<iframe class="report" src="([^"]*)" sandbox=""', page)
    assert frame is not None
    answer = anyone.get(frame[1])
    assert (answer.status, answer.body.decode()) == (200, REPORT_HTML)
    policy = {part.strip().partition(" ")[::2] for part in
              answer.headers["Content-Security-Policy"].split(";")}  # fmt: skip
    assert policy == {("default-src", "'none'"), ("style-src", "'unsafe-inline'"),
                      ("img-src", "data:"), ("base-uri", "'none'"), ("form-action", "'none'"),
                      ("frame-ancestors", "'self'"), ("sandbox", "")}  # fmt: skip
    assert "There is no report at this revision" in words(anyone.text("/desk/better/report/main"))


def test_the_badge_says_what_the_gates_found_to_those_who_may_know(
    furnished: HubUnderTest, anyone: Visitor
) -> None:
    bob = visitor(furnished, furnished.bob)
    for who, address, outcome in (
        (anyone, WALKER, b"gates: fail"),
        (anyone, "/desk/better", b"gates: pass"),
        (anyone, "/alice/long-history", b"gates: not judged"),
        (anyone, "/bob/gated", b"gates: not judged"),
        (bob, "/bob/gated", b"gates: pass"),
    ):
        answer = who.get(f"{address}/badge.svg")
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert outcome in answer.body, address


# Who may see what


def test_a_private_repository_looks_like_a_missing_one_on_every_page(
    furnished: HubUnderTest, anyone: Visitor, alice: Visitor
) -> None:
    bob = visitor(furnished, furnished.bob)
    for below in ("", "/tree/main", "/blob/main/hidden.txt", "/commits/main", "/commit/main",
                  "/report/main", "/discussions", "/discussions/1", "/access"):  # fmt: skip
        for who in (anyone, bob):
            hidden, missing = who.get(f"/alice/secret{below}"), who.get(f"/alice/nothing{below}")
            assert (hidden.status, missing.status) == (404, 404), below
            assert hidden.body.replace(b"secret", b"nothing") == missing.body, below
            assert (b"sign in" in hidden.body) == (who is anyone), below
    assert "secret card" in alice.text("/alice/secret")
    assert HIDDEN in alice.text("/alice/secret/blob/main/hidden.txt")
    assert alice.get("/alice/secret").headers["Cache-Control"] == "private, no-store"


def test_of_a_gated_repository_the_card_is_shown_and_nothing_else(
    furnished: HubUnderTest, anyone: Visitor, alice: Visitor
) -> None:
    for who in (anyone, alice):
        page = who.text("/bob/gated")
        assert "gated card" in page
        assert "gates pass" not in page
        assert HIDDEN not in who.text("/bob/gated/blob/main/hidden.txt")
        assert HIDDEN not in who.text("/bob/gated/commit/main")
        assert HIDDEN not in who.text("/bob/gated/report/main")
        refused = who.get("/bob/gated/report/main/report.html")
        assert refused.status in (401, 403)
        assert HIDDEN.encode() not in refused.body
        assert "gates pass" not in who.text("/bob")
    assert "Sign in to ask" in anyone.text("/bob/gated")
    assert "Ask for access" in alice.text("/bob/gated")
    bob = visitor(furnished, furnished.bob)
    assert HIDDEN in bob.text("/bob/gated/blob/main/hidden.txt")
    assert "gates pass" in bob.text("/bob/gated")


# Every page


@pytest.mark.parametrize("address", PAGES)
def test_no_page_allows_scripts_or_asks_for_anything_elsewhere(
    anyone: Visitor, address: str
) -> None:
    answer = anyone.get(address)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    page = answer.body.decode()
    assert "<script" not in page
    tags = re.findall(r"<[a-zA-Z][^>]*>", page)
    assert len(tags) > 20
    assert [tag for tag in tags if re.search(r"\s(on\w+|style|srcdoc)=", tag)] == []
    sources = re.findall(r'(?:src|action)="([^"]*)"', page)
    assert [s for s in sources if not s.startswith("/") or s.startswith("//")] == []
    assert re.search(r"<title>[^<]+</title>", page)
    assert page.count("<h1") >= 1
    head = anyone.get(address, method="HEAD")
    assert (head.status, head.body) == (answer.status, b"")
    assert head.headers["Content-Length"] == str(len(answer.body)) or address == "/login"


def test_errors_are_pages_for_browsers_and_json_for_clients(
    furnished: HubUnderTest, anyone: Visitor
) -> None:
    for address in ("/alice/missing", "/alice/walker/tree/missing", "/no/such/page/at/all"):
        assert b"<!doctype html>" in anyone.get(address).body, address
        answer = furnished.request("GET", address, headers={"Accept": "*/*"})
        assert answer.json()["error"] == answer.headers["X-Error-Message"], address
    answer = anyone.get("/api/models/alice/missing")
    assert answer.json()["error"] == "Repository not found"
    bad = anyone.get(WALKER, Authorization="Bearer hf_wrong")
    assert (bad.status, b"does not know the token" in bad.body) == (401, True)


def test_the_style_sheet_is_kept_under_an_address_that_names_its_content(anyone: Visitor) -> None:
    link = re.search(r'<link rel="stylesheet" href="([^"]*)"', anyone.text("/"))
    assert link is not None
    assert "?v=" in link[1]
    answer = anyone.get(link[1])
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert b"http" not in re.sub(rb"/\*.*?\*/", b"", answer.body, flags=re.DOTALL)
    again = anyone.get(link[1], **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_moved_repository_leads_to_its_new_page(furnished: HubUnderTest, anyone: Visitor) -> None:
    api = furnished.api()
    api.create_repo("alice/before", private=False)
    api.move_repo("alice/before", "alice/after")
    answer = anyone.get("/alice/before/tree/main?page=1")
    assert (answer.status, answer.headers["Location"]) == (307, "/alice/after/tree/main?page=1")
    api.delete_repo("alice/after")


_SEGMENT = st.sampled_from(
    ["alice", "walker", "hostile", "ticks", "datasets", "models", "tree", "blob", "commits",
     "commit", "report", "report.html", "discussions", "1", "99999999999999999999", "access",
     "main", "run%2F1", "refs%2Fpr%2F1", "%", "%00", "%ff", "%2e%2e", "..", "", "%0d%0a",
     "notes", "first.txt", "README.md", "train.csv", "%F0%9F%98%80", "x" * 300]
)  # fmt: skip
_VALUE = st.one_of(
    st.sampled_from(
        ["-1", "0", "1e9", "9" * 30, "name", "accuracy", "gates", "ascending", "%", ""]
    ),
    st.text(max_size=20),
)
_QUERY = st.dictionaries(
    st.sampled_from(["q", "kind", "tag", "sort", "order", "page", "revision", "from", "status",
                     "next"]),
    _VALUE,
    max_size=4,
)  # fmt: skip


@given(segments=st.lists(_SEGMENT, max_size=6), query=_QUERY)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_address_makes_the_server_fail(
    furnished: HubUnderTest, segments: list[str], query: dict[str, str]
) -> None:
    asked = "&".join(f"{key}={quote(value, safe='%')}" for key, value in query.items())
    address = "/" + "/".join(segments) + (f"?{asked}" if asked else "")
    answer = Visitor(hub=furnished, cookies={}).get(address)
    assert answer.status < 500, address
    assert HIDDEN.encode() not in answer.body
    assert b"Traceback" not in answer.body
