"""Whether the candidate is worse than stable, or good enough: the odds that what was seen is luck.

**The idea.** Gatekeeper itself draws the version of a request, with a known probability w. If the candidate is no
worse than stable, then of whatever goes wrong the label "it was the candidate" is a coin with known bias w. Bet on that
coin, with a wealth that begins at 1, on "the candidate fails r times as often". A bet that is fair or unfavourable
cannot make anybody rich: the chance that the wealth ever reaches 1/alpha is at most alpha (Ville 1939), however often
one looks, whatever the ramp, the load, the time of day. So a wealth of 100 is odds of 100 : 1 against luck, and a good
release is rolled back with probability 1 % at most, over its whole length and not at each look.

**Why it is fair.** Let p_b and p_g be the chances that a request at this moment fails on stable and on the candidate,
and p_g <= rho p_b + delta what is tolerated. For ratio r the bets are a = (r-1)(1-w)/(r rho w + 1-w) on "candidate" and
c = a rho w/(1-w) against it, and every candidate request pays the rent e^(-a delta). One request multiplies the wealth
on average by

    w (1 + a p_g) e^(-a delta) + (1-w)(1 - c p_b)  <=  1 + a rho w p_b (e^(-a delta) - 1)  <=  1

since (1 + a delta) e^(-a delta) <= 1. Nothing in this asks p_b or p_g to stay as they are: bad minutes, drift and
deploys elsewhere hit both labels alike and cancel exactly. ``tests/core/judge`` checks the inequality on a grid and the
whole process on every path of a small world.

**Good enough** is the same game with the other side: evidence against p_g >= rho p_b + Delta. With bets A on "it did
not fail" a request multiplies it by (1-A)/(1-A Delta) for an error of the candidate, 1/(1-A Delta) for its success, and
1 + A rho w/(1-w) for an error of stable, on average by 1 - A rho w p_b (1/(1-A Delta) - 1) <= 1. Delta is wider than
delta on purpose: alarm soon but never for trifles, pass what traffic can prove.

**The parts.**

    analysis  what is asked: how sure, what is tolerated, what must be excluded
    second    what the workers recorded of one second, which is all that the judge ever sees
    part      the same of one worker, as it is sent; ``gather`` makes seconds of it, when everybody has told
    units     what is remembered of units, so that each is bet on once; ``settle`` asks it
    bets      wealth over a grid of ratios: is it worse? Is it proven good enough? Is the share what was drawn?
    errors    the bets on errors, of all requests and of single routes; why units are bet on once, and not forgotten
    latency   the same for times: ranks, p95 and p99 against what stable took lately
    recent    absolute bounds over the last seconds
    judge     takes seconds in order, keeps all of this, gives one verdict at any time
    verdict   the seven verdicts and their evidence
    words     the sentence an operator reads
    power     how many requests it takes to see a regression, before the release begins

**What it cannot do.** No comparison can tell the code from the host it runs on: a bad minute of the candidate's machine
is a bad minute of the candidate (``Burst`` softens this, the split by backends shows it). None sees damage done to both
versions (shared trouble, an absolute bound). Where labels stick to units the bound is exact for p_g <= p_b, moment by
moment; for the band up to delta it is close, since the rent is paid per request and not per unit.

Sources: Ville 1939; Herbster & Warmuth 1998 (fixed share); Kulldorff et al. 2011 (MaxSPRT); Vovk & Wang 2021 (combining
e-values); Lindon & Malek 2022 (arXiv 2011.03567); Howard & Ramdas 2022; Zampieri 2025 (arXiv 2512.04366).
"""
