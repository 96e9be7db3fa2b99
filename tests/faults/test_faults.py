"""The ledger through the fault proxy while its servers are killed: nothing lost, doubled or moved."""

import json

import pytest

from adapters.storage import nats_connection
from benchmarks import faults
from benchmarks.faulty import workload
from benchmarks.faulty.workload import planned

RIGHT = {"lost": 0, "doubled": 0, "reordered": 0, "unresolved": 0}


async def test_a_short_run_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 1.0)

    result = await faults.run(ops=400, seed=7)

    assert result.items() >= (RIGHT | {"ops": 400, "acked": 400}).items()
    assert result["kills"] == 3
    assert min(result[fault] for fault in ("cuts", "dropped_acks", "duplicated", "delayed")) > 0


@pytest.mark.long
@pytest.mark.parametrize(("replicas", "ops"), [(1, 4000), (3, 2000)])
async def test_a_long_run_is_right(replicas: int, ops: int) -> None:
    result = await faults.run(ops=ops, seed=11, replicas=replicas)

    assert result.items() >= (RIGHT | {"ops": ops, "acked": ops}).items()
    assert result["kills"] >= 3


def test_what_stays_unknown_ends_with_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workload, "OPERATION_SECONDS_MAX", 0.0)

    with pytest.raises(SystemExit) as ended:
        faults.main(["--ops", "20", "--seed", "1", "--json"])

    result = json.loads(capsys.readouterr().out)
    assert ended.value.code == 4
    assert (result["acked"], result["unresolved"]) == (0, 20)


def test_the_same_seed_plans_the_same_operations() -> None:
    assert list(planned(100, seed=1)) == list(planned(100, seed=1))
    assert list(planned(100, seed=1)) != list(planned(100, seed=2))
    shapes = {tuple(part.events for part in each.parts) for each in planned(500, seed=1)}
    assert {len(shape) for shape in shapes} == {1, 2}
    assert (1,) in shapes
    assert max(sum(shape) for shape in shapes) > 5
