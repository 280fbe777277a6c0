"""Of which members messages wait until Xero has what they said."""


def up(migrator, db):
    db.execute_sql(
        "CREATE INDEX IF NOT EXISTS member_profile_waiting "
        "ON member_profile (id) WHERE waiting <> '[]'"
    )


def down(migrator, db):
    db.execute_sql("DROP INDEX member_profile_waiting")
