"""The documents that the other tests here are given are those that the admin API promises."""

import pytest

from gatekeeper.control.api import release_answers as api
from gatekeeper.control.api.verdict_answers import ReleaseVerdict
from tests.interface import releases
from tests.interface.test_verbs_plan import CHECK, verified


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (api.Release, releases.release()),
        (api.Release, releases.waiting()),
        (api.Release, releases.ended()),
        (api.Release, releases.release(verdicts=[releases.VERDICT])),
        (ReleaseVerdict, releases.said(releases.VERDICT)),
        (api.ReleaseOutcome, releases.changed(releases.release())),
        (api.Plans, releases.PLANS),
        (api.Plan, releases.DIRECT),
        (api.Releases, {"revision": 44, "releases": [releases.brief()]}),
        (api.Verification, verified({name: CHECK[name] for name in api.CheckMade.model_fields})),
    ],
)
def test_a_document_is_as_the_api_describes_it(model, document):
    model.model_validate(document)
