"""`ispbot proof` and `ispbot retention` as they are typed."""

from __future__ import annotations

from pathlib import Path

from tests.unit.bot.deployment import write
from tests.unit.bot.test_cli import PERSON, ispbot, subscribers


def test_a_record_is_made_verified_and_an_altered_one_refused(tmp_path: Path) -> None:
    config = write(tmp_path)
    ispbot("migrate", "-c", config)
    people = subscribers(tmp_path, PERSON)
    assert ispbot("import", "subscribers", people, "-c", config, "--no-dns").exit_code == 0
    why = ("--reason", "Dispute, counsel asked")
    made = ispbot("proof", "make", "1042", *why, "--time", "2025", "--to", tmp_path, "-c", config)
    assert made.exit_code == 0, made.output
    (file,) = tmp_path.glob("notices-account-1042-*.pdf")
    genuine = ispbot("proof", "verify", file, "-c", config)
    assert genuine.exit_code == 0
    assert "account: 1042" in genuine.output
    assert "by command line" in genuine.output
    file.write_bytes(file.read_bytes() + b"\n")
    altered = ispbot("proof", "verify", file, "-c", config)
    assert altered.exit_code == 1
    assert "No record with these bytes was made here" in altered.output
    nobody = ispbot("proof", "make", "4711", *why, "-c", config)
    assert nobody.exit_code == 2


def test_a_dry_run_of_the_retention_tells_each_class_and_changes_nothing(tmp_path: Path) -> None:
    config = write(tmp_path)
    ispbot("migrate", "-c", config)
    counted = ispbot("retention", "--dry-run", "-c", config)
    assert counted.exit_code == 0, counted.output
    for words in ("Messages with their events", "13 months", "Notices (7 years)", "90 days", "Nothing was"):
        assert words in counted.output
    done = ispbot("retention", "-c", config)
    assert "0 rows removed or moved" in done.output
