"""The cases, by paragraph of what correct means on the wire."""

from tests.wire.case import Case
from tests.wire.cases import (
    errors,
    forwarding,
    framing_back,
    framing_cut,
    framing_in_chunks,
    framing_in_coding,
    framing_in_length,
    framing_out,
    hop_by_hop,
    limits,
    lines,
    llhttp,
    one_xx,
    pipelining,
    pool,
    request_line,
    streaming,
    upgrade,
)

PARAGRAPHS: dict[str, list[Case]] = {
    "framing in": [*framing_in_length.CASES, *framing_in_coding.CASES, *framing_in_chunks.CASES],
    "framing out": framing_out.CASES,
    "lines": [*lines.CASES, *request_line.CASES],
    "llhttp": llhttp.CASES,
    "framing back": [*framing_back.CASES, *framing_cut.CASES],
    "hop by hop": hop_by_hop.CASES,
    "forwarding": forwarding.CASES,
    "streaming": streaming.CASES,
    "errors": errors.CASES,
    "pool": pool.CASES,
    "upgrade": upgrade.CASES,
    "1xx": one_xx.CASES,
    "limits": limits.CASES,
    "pipelining": pipelining.CASES,
}
