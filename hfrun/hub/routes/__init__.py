"""The protocol by theme; each module lists its addresses in ``ROUTES``.

``{kind:kind}`` in an address is models, datasets or spaces. Files of models have no prefix.
"""

from starlette.convertors import Convertor, register_url_convertor


class KindConvertor(Convertor[str]):
    """Matches the plural kind of a repository and nothing else."""

    regex = "models|datasets|spaces"

    def convert(self, value: str) -> str:
        """The kind as it stands in the address."""
        return value

    def to_string(self, value: str) -> str:
        """The address's part of a kind."""
        return value


register_url_convertor("kind", KindConvertor())
