package booktest_test

import "testing"

// Word to the outside is no part of a run: it changes nothing, no exit code, and nothing undoes it.
func TestWordToTheOutside(t *testing.T) {
	passes(t, site(t, map[string]string{"a_test.star": `"""Tests."""

def act(words):
    """Write."""
    fs.write("/srv/site", words)
    fs.write("/srv/other", words)
    if words == "refuse":
        inhibit("no")

def succeeded(outcome):
    run(["/usr/local/sbin/notify", outcome.id, str(outcome.code), str(outcome.changes)], no_undo = "it is told")
    print("seen: %s, %r" % (fs.exists("/srv/site"), outcome.step))

def failed(outcome):
    run(["/usr/local/sbin/notify", outcome.step, outcome.text], no_undo = "it is told")

def _book(on_failure = failed, on_success = succeeded, steps = [act]):
    return define(
        steps = steps,
        params = [param("words", default = "x", doc = "what is written")],
        allow = policy(write = ["/srv/site", "/srv/other"], programs = ["/usr/local/sbin/notify"]),
        on_failure = on_failure,
        on_success = on_success,
    )


def _host():
    return test.host("debian8-zcp72", files = {}, sections = {"/usr/local/sbin/notify 0755": "x\n"})

def test_success():
    """What a run came to is told, once, and by a program that the simulation does not run."""
    run = test.run(_book(), _host())
    test.equal((run.code, run.output), (0, ["told the outside: run /usr/local/sbin/notify test 0 2", "seen: True, \"\""]))
    test.contains(run.not_simulated, "what /usr/local/sbin/notify test 0 2 does")
    test.equal(run.no_return, "")
    test.undone(run)

def test_failure():
    """A failure is told with its step and its cause, and the way back is as ever."""
    run = test.run(_book(), _host(), fail_at = 2)
    test.equal(run.code, 1)
    test.contains(run.output, "told the outside: run /usr/local/sbin/notify act \"failed in step act: ")
    test.contains(run.output, "input/output error")
    test.undone(run)
    refused = test.run(_book(), _host(), params = {"words": "refuse"})
    test.equal(refused.code, 2)
    test.contains(refused.output, "told the outside")

def test_nobody():
    """A check, and a run that stops where it was asked to, are not told of."""
    test.equal(test.check(_book(), _host()).output, [])
    test.equal(test.run(_book(), _host(), until = "act").output, [])
    test.equal(test.run(_book(on_success = None), _host()).output, [])

def writes(outcome):
    fs.write("/srv/other", "from " + outcome.id)

def halts(outcome):
    run(["/sbin/halt"], no_undo = "it is told")

def undoes(outcome):
    run(["/usr/local/sbin/notify"], undo = ["/usr/local/sbin/notify"])

def breaks(outcome):
    fail("broken")

def test_refused():
    """What it may not do is told, and the run has succeeded all the same."""
    for function, why in [
        (writes, "on_success failed: fs.write: on_success and on_failure only look and run programs"),
        (halts, "does not allow it to run program /sbin/halt"),
        (undoes, "say so with no_undo"),
        (breaks, "on_success failed: fail: broken (//a_test.star:"),
    ]:
        run = test.run(_book(on_success = function), _host())
        test.equal(run.code, 0, about = why)
        test.contains(run.output, why)
        test.contains(run.text, "has not reached the outside")
        test.equal(test.text(run, "/srv/other"), "x")

def none():
    """Nothing."""

def test_declared():
    """A runbook made of another one tells, too."""
    book = define(steps = [none], allow = policy(programs = ["/usr/local/sbin/notify"])).telling(on_success = succeeded)
    test.contains(test.run(book, _host()).output, "told the outside")

def two(a, b):
    pass

def test_mistake():
    """It takes one argument."""
    _book(on_failure = two)
`}), "test_mistake: define: on_failure: want a function of one parameter, the outcome of the run")
}
