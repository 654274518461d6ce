"""Stamping: a ticket made from a finished one that differs from it in a few texts, with the bytes of a full print.

WeasyPrint lays a ticket out and draws it in some fifty milliseconds, and the next ticket differs from it in a name, a
number and a code. So a finished ticket's page is kept as a master. For the next ticket:

    difference   the filled templates are compared: texts, the title, and an image's src and alt may differ
    texts        WeasyPrint breaks each new text into lines, which must have the old ones' heights and baselines
    painting     the page is painted from what was recorded of the master's, with the new texts and the new code
    fonts        each text says which glyphs it takes, in the order in which a full print would have met them
    master       holds these together; WeasyPrint writes the file: objects, tags, outline, metadata
    stamper      keeps the masters, and decides which of them to trust

Whatever is not certain to give the bytes of a full print raises NotStampable, and the ticket is printed in full.

This leans on the inside of WeasyPrint, whose minor version is pinned for that reason. Every master must reproduce its
own ticket, byte for byte, before it stamps another: a change in the library shows there, and costs speed alone.
"""


class NotStampable(Exception):  # noqa: N818 -- no error: the ticket is printed in full
    """A ticket cannot be stamped. Says why, for whoever wants to know why printing is slow; never quotes a text."""
