from __future__ import annotations

import pytest

from keras_perceptual.training.membership import Membership, from_environment, parse

SLURM = {
    "SLURM_JOB_ID": "4097", "SLURM_STEP_NODELIST": "gpu[07-09,11],big1", "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5", "SLURM_LOCALID": "1",
}  # fmt: skip


def test_the_flag():
    assert parse("10.0.0.1:29500,4,3") == Membership("10.0.0.1:29500", 4, 3)
    assert parse("[::1]:29500, 2, 0") == Membership("[::1]:29500", 2, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("host:1", "HOST:PORT,COUNT,RANK"),
        ("host:1,2,-1", "HOST:PORT,COUNT,RANK"),
        ("host,2,0", "HOST:PORT of process 0"),
        ("host:0,2,0", "HOST:PORT of process 0"),
        ("host:65536,2,0", "HOST:PORT of process 0"),
        (":29500,2,0", "HOST:PORT of process 0"),
        ("host:1,2,2", "a rank from 0 to 1 of 2 processes, received 2"),
        ("host:1,0,0", "a rank from 0 to -1"),
    ],
)
def test_a_flag_that_cannot_be(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"},
            Membership("a:1", 2, 1),
        ),
        (
            {
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1,b:1",
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": "0",
            },
            Membership("a:1", 2, 0),
        ),
        (
            {
                "COORDINATOR_ADDRESS": "a", "COORDINATOR_PORT": "1", "NUM_PROCESSES": "3",
                "PROCESS_ID": "2",
            },
            Membership("a:1", 3, 2),
        ),
        (
            {
                "MASTER_ADDR": "a", "MASTER_PORT": "1", "WORLD_SIZE": "4", "RANK": "3",
                "LOCAL_RANK": "1",
            },
            Membership("a:1", 4, 3, device=1),
        ),
        (  # an indexed Job of Kubernetes says which pod it is, and its manifest the rest
            {
                "JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2",
                "JOB_COMPLETION_INDEX": "1",
            },
            Membership("a:1", 2, 1),
        ),
        (SLURM, Membership("gpu07:61441", 8, 5, device=1)),
        ({**SLURM, "SLURM_STEP_NODELIST": "big1"}, Membership("big1:61441", 8, 5, device=1)),
        ({**SLURM, "SLURM_STEP_NODELIST": "a1,b[2-3]"}, Membership("a1:61441", 8, 5, device=1)),
        (
            {**SLURM, "SLURM_STEP_NODELIST": "r[1-2]n,b"},
            Membership("r1n:61441", 8, 5, device=1),
        ),
        ({"MASTER_ADDR": "a", "RANK": "3"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_environment(environment, expected):
    assert from_environment(environment) == expected


def test_an_environment_that_cannot_be():
    with pytest.raises(ValueError, match="a number in SLURM_NTASKS, received 'many'"):
        from_environment({**SLURM, "SLURM_NTASKS": "many"})
