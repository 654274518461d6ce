"""What version 0.1.0 told of payments that bought nothing is accounted for, so that nothing tells of them again."""

from alembic import op

from paypoll.state.told_before import take_over

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take it over from the trail."""
    take_over(op.get_bind())


def downgrade() -> None:
    """Leave it: it stays true."""
