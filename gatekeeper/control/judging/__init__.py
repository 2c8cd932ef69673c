"""What runs for the judges of releases: what workers record becomes seconds, seconds become verdicts, and verdicts
commands. What a verdict is, and what it means for a release, is in ``core``.

    judging    all of it: which cases there are, what workers are told, what is shown
    course     one release: its cases, its custom metrics, the one verdict of it
    case       one service of one release: from what workers recorded to what its judge says
    resume     a case after a restart: how much of the past is there, and whether it is enough
    keeping    puts all of that on disk, behind
    seconds    the log of one case's seconds
    memory     the memory of units, shared with the workers
    queries    custom metrics: what a Prometheus says, beside the comparison
    busy       which routes of a service have most traffic

**What a restart finds.** The judge and what belongs to it are in the store, ``KEEP_SECONDS`` old at most, and every
second since is in the log. The memory of units is a file that this process writes as memory: after a kill it is as
new as what was bet, after a power cut at least as new as what is in the store, since it is written out before that is.
A unit that is remembered without a bet on it has lost its coin, which is fair to both versions; one that was bet on and
is not remembered would be bet on twice. Where more is missing than a moment, the judge says so and compares nothing any
more (``Judge.lost``): to begin at even odds again would spend the chance of a false alarm twice.

**What is lost in a gap.** While no supervisor runs nobody hears what workers record. Those seconds are in no evidence
and are not counted as time watched. That is fair, because nothing about them depends on a label.
"""
