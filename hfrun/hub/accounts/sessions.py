"""Signing in from a browser: a cookie that names a token, signed by the hub, and soon invalid.

The cookie holds no secret of the user's: only the id by which the token is listed. It opens what
the token opens, until the token is revoked or the session ends.
"""

import time

from hfrun.hub.accounts.signing import Secret

COOKIE = "hub_session"
LIFETIME_SECONDS = 12 * 3600


class Sessions:
    """Makes and reads the cookies of signed-in browsers, and the keys of the forms they send."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def cookie(self, token_id: str) -> str:
        """The value of a new session's cookie."""
        expires = int(time.time()) + LIFETIME_SECONDS
        return f"{token_id}.{expires}.{self._secret.sign('session', token_id, expires)}"

    def token_id(self, cookie: str) -> str | None:
        """Whose session this is; None for a forged or an ended one."""
        token_id, _, rest = cookie.partition(".")
        expires, _, signature = rest.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return None
        if not self._secret.is_signed(signature, "session", token_id, int(expires)):
            return None
        return token_id if int(expires) >= time.time() else None

    def form_key(self, cookie: str) -> str:
        """What a form of this session must send along: other sites cannot know it."""
        return self._secret.sign("form", cookie)

    def is_form_key(self, key: str, cookie: str) -> bool:
        """Whether a form was made for this session."""
        return self._secret.is_signed(key, "form", cookie)
