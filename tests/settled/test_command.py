"""The harness of the commands: what it starts is not held up by it."""

from tests.settled.command import running


def test_a_process_that_logs_much_is_not_held_up() -> None:
    with running("plugins", PYTHONVERBOSE="1") as chatty:
        assert any("membership" in line for line in chatty.lines)
        ended = chatty.wait()
    assert ended.code == 0
    assert len(ended.err) > 100_000  # more than a pipe holds
