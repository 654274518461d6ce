"""A page of SumUp's list that takes longer than a run: what was judged of it already."""

import sqlalchemy as sa
from alembic import op

from paypoll.database import SCHEMA
from paypoll.state.tables import Json

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the column."""
    op.add_column("ledger_cursor", sa.Column("page_done", Json), schema=SCHEMA)


def downgrade() -> None:
    """Drop the column: the page is judged from its beginning."""
    op.drop_column("ledger_cursor", "page_done", schema=SCHEMA)
