"""What perf says of a run becomes shares of parts that a reader knows."""

import pytest

from benchmarks.proxies.profile import part_of, section, shares
from tests.benchmarks.proxies.made import run

SAID = """
    82.09%  [kernel.kallsyms]
     1.99%  loop.cpython-311-x86_64-linux-gnu.so

# what perf adds
     0.08%  [vdso]
"""


def test_lines_of_a_report_become_shares_and_all_else_is_left_out():
    found = shares(SAID)
    assert [name for _, name in found] == ["[kernel.kallsyms]", "loop.cpython-311-x86_64-linux-gnu.so", "[vdso]"]
    assert [share for share, _ in found] == pytest.approx([0.8209, 0.0199, 0.0008])


def test_files_are_told_by_what_they_are():
    files = ["[kernel.kallsyms]", "libpython3.11.so.1.0", "python3.13", "loop.cpython-311.so", "ab__mypyc.cpython.so"]
    assert [part_of(file) for file in files] == ["the kernel", "Python", "Python", "uvloop", "gatekeeper, compiled"]
    assert part_of("nginx") == "nginx"


def test_a_part_is_told_in_the_time_of_a_request_and_dust_is_not():
    found = "\n".join(
        section("small", "nginx", run("nginx", 10), {"the kernel": 0.8, "[vdso]": 0.001}, [(0.3, "[k] x")])
    )
    assert "nginx, 10.0 us a request" in found
    assert "| the kernel | 80% | 8.0 us |" in found
    assert "vdso" not in found
    assert "Most: `x` 30.0%." in found
