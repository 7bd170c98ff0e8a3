"""Every response conforms to the OpenAPI document, for valid and invalid requests."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mechanical_ears.explore.server import Settings, create_app

EXAMPLES = 12  # of each operation, valid ones and as many invalid ones
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(create_app(Settings(Path("unused"))).openapi())
OPERATIONS = [each.ok() for each in SCHEMA.get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_every_response_conforms_to_the_document(server, space, operation):
    cases = []

    @settings(
        max_examples=2 * EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=mode)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        ),
        use_open_instrument=st.booleans(),
    )
    def send(case, use_open_instrument):
        if use_open_instrument:  # a random id is never that of an open instrument
            for values in (case.path_parameters, case.body):
                for name in {"id", "instrument"} & set(values if isinstance(values, dict) else ()):
                    values[name] = space["id"][0]
        base = str(server.client.base_url)
        response = case.call_and_validate(base_url=base, timeout=60, checks=CHECKS)
        cases.append(case)
        if response.status_code == 202:
            server.client.delete(f"/api/exports/{response.json()['job']}")

    send()
    assert cases


def test_all_operations_are_tested():
    assert len(OPERATIONS) == 16
