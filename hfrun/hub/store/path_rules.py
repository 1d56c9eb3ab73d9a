"""What the .gitattributes and .gitignore files of a repository say of a path, as git reads them.

pathspec translates the patterns. Git reads both kinds of files a little differently from how
pathspec applies them (attributes of a folder are not those of the files inside; a file of rules
in a folder is about what lies below it), so what follows from a match is decided here.

References: gitattributes(5), gitignore(5).
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cachetools import LRUCache, cached
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from hfrun.hub.refusals import BadRequestError

GITATTRIBUTES, GITIGNORE = ".gitattributes", ".gitignore"
RULES_MAX_BYTES = 100_000  # of one file of rules; a longer one is not read
RULES_MAX_LINES = 1000
_PATTERN_MAX_LENGTH = 1000  # a path has no more
_MAX_STARS = 8

# Each * can be tried at every letter of a name, so k of them take up to n ** k steps of some 20 ns.
# A pattern is left out where it could take longer than a blink, and a request that would take
# minutes is refused: what it may take grows with its paths.
_STEPS_OF_ONE_MATCH = 5e7
_STEPS_OF_ALL = 5e8
_STEPS_OF_A_PATH = 3e4
_STEPS_TO_BEGIN = 100.0

# Files of rules by their text, counted in rules: a thousand take some megabytes.
_CACHED_RULES = 4000

_FILES_AT_HAND = 256

_SPACE = "[[:space:]]"  # how git-lfs writes a blank into a pattern
_MACRO = "[attr]"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line: which paths it is about, relative to its file's folder, and what it says.

    Attributes:
        only_folders: the pattern ends with a slash.
        says: LFS or not, in a .gitattributes; ignored or not, in a .gitignore.
        stars, double_stars: how many of each the pattern has.
    """

    pattern: re.Pattern[str]
    only_folders: bool
    says: bool
    stars: int
    double_stars: int

    def matches(self, path: str, *, is_folder: bool) -> bool:
        """Whether the line is about exactly this path, not only about a folder above it."""
        if self.only_folders:
            return is_folder and self.pattern.search(path + "/") is not None
        found = self.pattern.search(path)
        return found is not None and found.groupdict().get("ps_d") is None

    def steps(self, path: str) -> float:
        """How many steps a match may take, at worst."""
        names = path.split("/")
        depth, longest = float(len(names)), float(max(map(len, names)))
        steps: float = depth ** (self.double_stars + 1) * longest**self.stars
        return _STEPS_TO_BEGIN + steps


class PathRules:
    """The rules of one revision, for the paths of one request.

    Args:
        read: the text of a file of rules at this revision, by its path; "" where there is none.
        gitignore: stands in for the .gitignore of the root, which the request brings along.
    """

    def __init__(self, read: Callable[[str], str], *, gitignore: str | None = None) -> None:
        # Once for all files of a folder; each may have hundreds of folders of its own.
        self._read = lru_cache(maxsize=_FILES_AT_HAND)(read)
        self._gitignore = gitignore
        self._steps_left = _STEPS_OF_ALL

    def is_lfs(self, path: str) -> bool:
        """Whether a .gitattributes gives the file to LFS: the last line that speaks of it wins.

        Raises:
            BadRequestError: the patterns are too costly for this many files.
        """
        found = False
        self._steps_left += _STEPS_OF_A_PATH
        for folder, name in _places(path):
            text = self._read(folder + GITATTRIBUTES)
            for rule in attribute_rules(text, with_macros=not folder):
                if self._matches(rule, name, is_folder=False):
                    found = rule.says
        return found

    def is_ignored(self, path: str) -> bool:
        """Whether a .gitignore leaves the file out: itself, or a folder that it lies in.

        Raises:
            BadRequestError: the patterns are too costly for this many files.
        """
        self._steps_left += _STEPS_OF_A_PATH
        above = [path[:i] for i, letter in enumerate(path) if letter == "/"]
        return any(self._is_named(folder, is_folder=True) for folder in above) or self._is_named(
            path, is_folder=False
        )

    def _is_named(self, path: str, *, is_folder: bool) -> bool:
        found = False
        for folder, name in _places(path):
            text = self._gitignore if not folder else None
            if text is None:
                text = self._read(folder + GITIGNORE)
            for rule in ignore_rules(text):
                if self._matches(rule, name, is_folder=is_folder):
                    found = rule.says
        return found

    def _matches(self, rule: Rule, path: str, *, is_folder: bool) -> bool:
        steps = rule.steps(path)
        if steps > _STEPS_OF_ONE_MATCH:
            return False
        self._steps_left -= steps
        if self._steps_left < 0:
            raise BadRequestError(
                f"got patterns in {GITATTRIBUTES} or {GITIGNORE} that would take too long for this "
                "many files; use fewer patterns with several *, or send fewer files at a time"
            )
        return rule.matches(path, is_folder=is_folder)


def _places(path: str) -> Iterator[tuple[str, str]]:
    """Each folder above a path, from the root, ending with a slash; and the path below it."""
    yield "", path
    for i, letter in enumerate(path):
        if letter == "/":
            yield path[: i + 1], path[i + 1 :]


def _cached(read: Callable[..., tuple[Rule, ...]]) -> Callable[..., tuple[Rule, ...]]:
    memory: LRUCache[object, tuple[Rule, ...]] = LRUCache(
        _CACHED_RULES, getsizeof=lambda rules: len(rules) + 1
    )
    return cached(memory, lock=threading.Lock())(read)


@_cached
def attribute_rules(text: str, *, with_macros: bool) -> tuple[Rule, ...]:
    """The lines of a .gitattributes that set, unset or forget the attribute ``filter``.

    Args:
        with_macros: it is that of the root, the only one that may define macros.
    """
    lfs_macros: dict[str, bool] = {}
    rules = []
    for line in text.splitlines()[:RULES_MAX_LINES]:
        pattern, attributes = _split(line)
        if pattern.startswith(_MACRO):
            if with_macros:
                lfs_macros[pattern.removeprefix(_MACRO)] = _filter(attributes, {}) is True
            continue
        says = _filter(attributes, lfs_macros)
        if says is not None and not pattern.startswith(("!", "#")):
            rules += _rules(pattern, says)
    return tuple(rules)


@_cached
def ignore_rules(text: str) -> tuple[Rule, ...]:
    """The lines of a .gitignore."""
    lines = text.splitlines()[:RULES_MAX_LINES]
    return tuple(rule for line in lines for rule in _rules(line, None))


def _split(line: str) -> tuple[str, list[str]]:
    """Pattern and attributes of a line; a pattern with blanks stands in quotation marks."""
    line = line.strip(" \t")
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', line)
    if quoted is None:
        pattern, *attributes = line.split() or [""]
        return pattern, attributes
    return re.sub(r'\\(["\\])', r"\1", quoted[1]), line[quoted.end() :].split()


def _filter(attributes: list[str], lfs_macros: dict[str, bool]) -> bool | None:
    """Whether the attributes choose LFS, by name or by a macro; None where none is about it."""
    found = None
    for attribute in attributes:
        if attribute.lstrip("-!").partition("=")[0] == "filter":
            found = attribute == "filter=lfs"
        elif lfs_macros.get(attribute):
            found = True
    return found


def _rules(pattern: str, says: bool | None) -> list[Rule]:
    """One rule, or none for an empty line, a comment or what git does not understand either.

    None either for a pattern that is longer than any path or has very many wildcards.
    """
    runs = re.findall(r"\*+", pattern)
    if len(pattern) > _PATTERN_MAX_LENGTH or len(runs) > _MAX_STARS:
        return []
    pattern = pattern.replace(_SPACE, "[ ]")
    # Two that pathspec reads otherwise than git: nothing at all, and the folders inside a folder.
    pattern = re.sub(r"^!/$", "", re.sub(r"/\*\*/$", "/**/*/", pattern))
    try:
        read = GitIgnoreSpecPattern(pattern)
    except (ValueError, re.error):
        return []
    if read.regex is None:
        return []
    # In a pattern [!a] is any letter but a, and a slash is never a letter.
    expression = read.regex.pattern.replace("[^", "[^/")
    only_folders = pattern.rstrip().endswith("/")
    return [
        Rule(
            pattern=re.compile(expression + r"\Z" if only_folders else expression),
            only_folders=only_folders,
            says=bool(read.include) if says is None else says,
            stars=sum(len(run) != 2 for run in runs),
            double_stars=sum(len(run) == 2 for run in runs),
        )
    ]
