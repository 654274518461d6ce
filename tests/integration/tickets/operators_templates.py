"""Templates as operators may write them: a body for a ticket, and styles. Each makes something depend on a text."""

PAGE = (
    '<html lang="en"><head><title>{{ title }}</title></head><body>{% for ticket in tickets %}<article>'
    '<img src="{{ ticket.qr_image }}" alt="code {{ ticket.ticket_number }}">BODY</article>'
    "{% endfor %}</body></html>"
)
STYLES = "article + article { break-before: page } img { display: block; width: 50mm; height: 50mm }"

STAMPED: dict[str, tuple[str, str]] = {
    "a-sentence": ("<p>Dear {{ ticket.holder_name }}, your ticket is {{ ticket.ticket_number }}.</p>", ""),
    "a-paragraph": ("<p style='width: 60mm'>" + "{{ ticket.holder_name }} and friends. " * 6 + "</p>", ""),
    "spaces-around": ("<p>\n  {{ ticket.holder_name }}\n  </p><p> {{ ticket.order_number }}</p>", ""),
    "headings": ("<h1>{{ ticket.event_title }}</h1><h2>{{ ticket.holder_name }}</h2><h3>{{ ticket.order_number }}", ""),
    "spaced": ("<p style='letter-spacing: 2px; word-spacing: 3px; text-indent: 2em'>{{ ticket.holder_name }}</p>", ""),
    "small-caps": ("<p style='font-variant: small-caps; line-height: 2'>{{ ticket.holder_name }}</p>", ""),
    "absolute": ("<p style='position: absolute; width: 9cm; top: 9cm'>{{ ticket.holder_name }}</p>", ""),
    "rotated": ("<p style='transform: rotate(20deg); background: red'>{{ ticket.holder_name }}</p>", ""),
    "no-break": ("<p style='white-space: nowrap'>{{ ticket.holder_name }}</p>", ""),
    "no-break-spaces": ("<p style='width: 40mm'>{{ ticket.holder_name | replace(' ', '\u00a0') }} x</p>", ""),
    "clipped": ("<p style='overflow: hidden; width: 30mm'>{{ ticket.holder_name }}</p>", ""),
    "list": ("<div><p>{{ ticket.holder_name }}<p>{{ ticket.order_number }}</div>", "p { border: 1px solid }"),
    "described": ("<img src='{{ ticket.qr_image }}' alt=\"for {{ ticket.holder_name }}\" width=50 height=50>", ""),
    "entities": ("<p>&lt;{{ ticket.holder_name }}&gt; &amp; &#34;{{ ticket.order_number }}&#39;</p>", ""),
    "page-number": ("<p>{{ ticket.holder_name }}</p>", "@page { @bottom-left { content: counter(page) } }"),
}
"""What a stamp can follow."""

FOLLOWED_OR_NOT: dict[str, tuple[str, str]] = {
    "inline": ("<p>Ticket <b>{{ ticket.ticket_number }}</b> for <i>{{ ticket.holder_name }}</i> here</p>", ""),
    "centred": ("<p style='text-align: center'>{{ ticket.holder_name }}</p>", ""),
    "on-the-right": ("<p style='text-align: right'>{{ ticket.holder_name }}</p>", ""),
    "justified": ("<p style='text-align: justify; width: 50mm'>" + "{{ ticket.holder_name }} " * 9 + "</p>", ""),
    "justified-last": ("<p style='text-align: justify; text-align-last: justify'>{{ ticket.holder_name }} x</p>", ""),
    "right-to-left": ("<p dir='rtl'>{{ ticket.holder_name }}</p>", ""),
    "override": ("<p><bdo dir='rtl'>{{ ticket.holder_name }}</bdo></p>", ""),
    "attribute": ("<p data-n='{{ ticket.ticket_number }}'>x</p>", "p::after { content: attr(data-n) }"),
    "description-shown": ("<p>x</p>", "article::after { content: attr(title) } img::after { content: attr(alt) }"),
    "escaped-attr": ("<p>x</p>", "img[al\\74 *='7'] + p { color: red } p::after { content: a\\74tr(title) }"),
    "description-chosen": ("<p>{{ ticket.order_number }}</p>", "img[alt*='7'] + p { font-size: 30pt }"),
    "margin-box": (
        "<p class='n'>{{ ticket.holder_name }}</p>",
        ".n { string-set: n content() } @page { @bottom-left { content: string(n) } }",
    ),
    "running": (
        "<p class='n'>{{ ticket.holder_name }}</p>",
        ".n { position: running(n) } @page { @top-left { content: element(n) } }",
    ),
    "label": (
        "<p class='n'>{{ ticket.holder_name }}</p>",
        ".n { bookmark-level: 1; bookmark-label: 'for ' content() }",
    ),
    "part-of-a-heading": ("<h1>for <i>{{ ticket.holder_name }}</i></h1>", ""),
    "heading-of-blocks": ("<h1><p>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p></h1>", ""),
    "two-headings-alike": ("<h1>{{ ticket.holder_name }}</h1><h2>{{ ticket.holder_name }}</h2>", ""),
    "counted": (
        "<p class='c'>{{ ticket.holder_name }}</p>",
        ".c::before { content: counter(x); counter-increment: x }",
    ),
    "table": ("<table><tr><td>{{ ticket.holder_name }}</td><td>{{ ticket.order_number }}</td></tr></table>", ""),
    "text-in-a-table": ("<table>{{ ticket.holder_name }}<tr><td>{{ ticket.order_number }}</td></tr></table>", ""),
    "float": ("<p style='float: left'>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p>", ""),
    "beside-a-float": ("<p style='float: left; height: 2cm'>x</p><p>{{ ticket.holder_name }}</p>", ""),
    "placed-by-its-width": (
        "<p style='float: left; width: 145mm'>x</p><p style='white-space: nowrap'>{{ ticket.holder_name }}</p>",
        "",
    ),
    "flex": ("<div style='display: flex'><p>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p></div>", ""),
    "flex-deep": (
        "<div style='display: flex'><div><p>{{ ticket.holder_name }}</p></div><p>x</p></div>",
        "p { background: red }",
    ),
    "grid": ("<div style='display: grid'><p>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p></div>", ""),
    "columns": ("<div style='columns: 2'><p>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p></div>", ""),
    "inline-block": (
        "<p><span style='display: inline-block; border: 1px solid'>{{ ticket.holder_name }}</span></p>",
        "",
    ),
    "shrinks-to-fit": ("<p style='position: absolute; top: 9cm; background: red'>{{ ticket.holder_name }}</p>", ""),
    "background": ("<span style='background: #eee'>{{ ticket.order_number }}</span>", ""),
    "width-of-a-text": ("<p style='width: {{ ticket.holder_name | length }}mm; background: red'>x</p>", ""),
    "capitals": ("<p style='text-transform: uppercase'>{{ ticket.holder_name }}</p>", ""),
    "underlined": ("<p style='text-decoration: underline'>{{ ticket.holder_name }}</p>", ""),
    "first-letter": ("<p>{{ ticket.holder_name }}</p>", "p::first-letter { font-size: 3em }"),
    "first-line": ("<p>{{ ticket.holder_name }}</p>", "p::first-line { font-weight: bold }"),
    "ellipsis": (
        "<p>{{ ticket.holder_name }}</p>",
        "p { overflow: hidden; text-overflow: ellipsis; width: 2cm; white-space: nowrap }",
    ),
    "clamped": (
        "<p>{{ ticket.holder_name }}</p>",
        "p { max-lines: 1; width: 2cm; block-ellipsis: auto; continue: discard }",
    ),
    "hyphenated": ("<p lang='en' style='hyphens: auto; width: 2cm'>{{ ticket.holder_name }}</p>", ""),
    "soft-hyphens": ("<p style='width: 2cm'>{{ ticket.holder_name | replace('a', 'a\u00ad') }}</p>", ""),
    "preformatted": ("<pre>{{ ticket.holder_name }}\n  {{ ticket.order_number }}</pre>", ""),
    "broken-lines": ("<p>{{ ticket.holder_name }}<br>{{ ticket.order_number }}</p>", ""),
    "hidden": ("<p style='visibility: hidden'>{{ ticket.holder_name }}</p>", ""),
    "not-shown": ("<p style='display: none'>{{ ticket.holder_name }}</p><p>{{ ticket.order_number }}</p>", ""),
    "nothing-if-nameless": ("<p>{{ ticket.holder_name if ticket.place > 1 }}</p>", "p:empty { height: 4cm }"),
    "other-elements": ("{% if ticket.place == 1 %}<p>first{% else %}<div>other{% endif %}", ""),
    "numbered-list": ("<ol start='{{ ticket.place }}'><li>{{ ticket.holder_name }}</li></ol>", ""),
    "list-item": ("<ul><li>{{ ticket.holder_name }}</li><li>x</li></ul>", ""),
    "linked": ("<p><a href='https://shop.example/{{ ticket.ticket_number }}'>{{ ticket.ticket_number }}</a></p>", ""),
    "linked-block": ("<a style='display: block' href='https://shop.example/'>{{ ticket.holder_name }}</a>", ""),
    "anchored": ("<p id='{{ ticket.ticket_number }}'>{{ ticket.holder_name }}</p>", ""),
    "drawn": (
        "<svg xmlns='http://www.w3.org/2000/svg' width='300' height='30'><text y='20'>{{ ticket.holder_name }}</svg>",
        "",
    ),
    "drawn-title": (
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><title>{{ ticket.holder_name }}</title></svg>",
        "",
    ),
    "see-through": ("<p style='opacity: .5'>{{ ticket.holder_name }}</p>", ""),
    "gradient": ("<p style='background: linear-gradient(red, blue)'>{{ ticket.holder_name }}</p>", ""),
    "style-element": ("<style>p::after { content: attr(title) }</style><p title='{{ ticket.place }}'>x</p>", ""),
    "imported": ("<p>{{ ticket.holder_name }}</p>", "@import url('data:text/css,p::first-letter { font-size: 3em }');"),
    "comment": ("<!-- {{ ticket.holder_name }} --><p>{{ ticket.order_number }}</p>", ""),
    "markup-in-a-name": ("<p>{{ ('&copy;' + ticket.holder_name + '&notin') | safe }}</p>", ""),
    "control-in-a-name": (
        "<p>{{ '&#1;' | safe if ticket.place == 2 }}{{ ticket.holder_name }}{{ '&#x80;' | safe if ticket.place == 2 }}",
        "",
    ),
    "typed-in": ("<input value='x'><textarea>{{ ticket.holder_name }}</textarea>", ""),
    "code-as-background": ("<p style=\"background: url('{{ ticket.qr_image }}')\">{{ ticket.order_number }}</p>", ""),
    "emoji": ("<p>🎉 {{ ticket.holder_name }}</p>", ""),
}
"""What a stamp may follow or not, as long as it gives the bytes of a full print."""
