"""``include``: several files, one configuration."""

import pytest

from gatekeeper.config import ConfigError, load_file

SERVICE = "{hosts: %s.example, versions: {v: {backends: 'http://h'}}}"


@pytest.fixture
def tree(tmp_path):
    """A function that writes files and loads the first."""

    def tree(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(text)
        return load_file(tmp_path / "main.yaml")

    return tree


def service(name):
    return f"services:\n  {name}: {SERVICE % name}\n"


def refused(tree, **files):
    with pytest.raises(ConfigError) as caught:
        tree(**files)
    return caught.value.problems


def test_services_of_included_files_join_sorted_by_name(tree):
    files = {"d__b": service("b"), "d__a": service("a"), "e__c": service("c") + "workers: 2\n"}
    definition = tree(main="include: [e/c.yaml, d/*.yaml]\n" + service("m"), **files)
    assert list(definition.services) == ["m", "c", "a", "b"]
    assert definition.settings.workers == 2


def test_a_file_may_consist_of_an_include(tree):
    assert list(tree(main="include: d/*.yaml", d__a=service("a")).services) == ["a"]


def test_a_glob_may_match_nothing_but_a_name_must_be_there(tree):
    assert list(tree(main="include: d/*.yaml\n" + service("m")).services) == ["m"]
    (problem,) = refused(tree, main=service("m") + "include: d/a.yaml\n")
    assert (problem.line, problem.path, problem.message) == (3, "include", "there is no such file")


def test_an_include_may_name_an_environment_variable(tree, monkeypatch):
    monkeypatch.setenv("GK_TEAM", "d")
    assert list(tree(main="include: '${GK_TEAM}/*.yaml'", d__a=service("a")).services) == ["a"]


def test_includes_and_secrets_start_at_the_file_that_names_them(tree, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/key").write_text("x" * 20)
    inner = "services: {a: {testers: {keys: '${file:key}'}, versions: {v: {backends: 'http://h'}}}}\nstate: s.db\n"
    definition = tree(main="include: d/a.yaml", d__a="include: b.yaml\n" + inner, d__b="workers: 3")
    assert definition.services["a"].testers.keys == ("x" * 20,)
    assert definition.settings.state == str(tmp_path / "d/s.db")
    assert definition.settings.workers == 3


def test_a_service_in_two_files_is_an_error_that_names_both_places(tree, tmp_path):
    (problem,) = refused(tree, main="include: d/*.yaml\n" + service("a"), d__x="\n" + service("a"))
    assert (problem.file, problem.line) == (str(tmp_path / "d/x.yaml"), 3)
    assert problem.message == "this service is defined twice"
    assert problem.allowed == f"once; first in {tmp_path}/main.yaml:3"


def test_another_key_in_two_files_is_an_error_that_names_both_places(tree, tmp_path):
    (problem,) = refused(tree, main="include: d/*.yaml\nworkers: 1\n" + service("a"), d__x="workers: 1")
    assert (problem.path, problem.message) == ("workers", "this key is set by two files")
    assert problem.allowed == f"once; first in {tmp_path}/main.yaml:2"


def test_mistakes_of_all_files_come_together_the_main_file_first(tree, tmp_path):
    found = refused(tree, main="include: d/*.yaml\nworkers: x\n", d__b="a: ]", d__a=service("a") + "lgo: {}\n")
    places = [(problem.file.removeprefix(f"{tmp_path}/"), problem.line) for problem in found]
    assert places == [("main.yaml", 2), ("d/a.yaml", 3), ("d/b.yaml", 1)]


def test_a_file_that_includes_itself_is_refused(tree):
    problems = refused(tree, main="include: [main.yaml, d/a.yaml]\n" + service("m"), d__a="include: ../main.yaml")
    assert [problem.message for problem in problems] == ["main.yaml is included twice"] * 2


def test_includes_nest_at_most_four_files_deep(tree):
    chain = {"main": "include: f1.yaml", "f1": "include: f2.yaml", "f2": "include: f3.yaml"}
    assert list(tree(**chain, f3=service("deep")).services) == ["deep"]
    (problem,) = refused(tree, **chain, f3=service("deep") + "include: f4.yaml", f4="workers: 1")
    assert problem.message == "includes nest too deeply"


@pytest.mark.parametrize("include", ["{a: b}", "[[a]]", "", "['']", "[a, {}]"])
def test_an_include_that_names_no_file_is_refused(tree, include):
    problems = refused(tree, main=f"include: {include}\n" + service("m"))
    assert problems[0].message in {"is not a file name", "there is no such file"}
    assert problems[0].path.startswith("include")


def test_an_included_file_must_be_a_mapping(tree):
    (problem,) = refused(tree, main="include: d/*.yaml\n" + service("m"), d__a="- 1")
    assert problem.message == "a file is a mapping of keys"


def test_too_many_files_are_refused(tree, tmp_path):
    (tmp_path / "d").mkdir()
    for number in range(300):
        (tmp_path / f"d/{number}.yaml").write_text("")
    (problem,) = refused(tree, main="include: d/*.yaml\n" + service("m"))
    assert problem.message == "too many files"


@pytest.mark.parametrize(("name", "why"), [("missing.yaml", "No such file or directory"), (".", "Is a directory")])
def test_a_main_file_that_cannot_be_read_is_a_problem_too(tmp_path, name, why):
    with pytest.raises(ConfigError) as caught:
        load_file(tmp_path / name)
    assert [problem.message for problem in caught.value.problems] == [f"the file cannot be read: {why}"]


def test_plans_and_groups_of_included_files_join(tree):
    plan = "plans: {%s: {steps: [{weight: 100}]}}\n"
    group = "releases: {both: {services: [m, a], plan: a}}\n"
    files = {"d__a": service("a") + plan % "a" + group, "d__b": plan % "b"}
    found = tree(main="include: d/*.yaml\n" + service("m") + plan % "m", **files).releasing
    assert (list(found.plans), found.groups["both"].services) == (["m", "a", "b"], ("m", "a"))


def test_a_plan_or_group_that_two_files_define_is_one_problem_that_names_both(tree):
    plan = "plans: {p: {steps: [{weight: 100}]}}\n"
    group = "releases: {g: {services: [a, b]}}\n"
    main = "include: d/*.yaml\n" + plan + group
    found = refused(tree, main=main, d__a=service("a") + plan, d__b=service("b") + group)
    assert [(problem.path, problem.message) for problem in found] == [
        ("plans.p", "this plan is defined twice"),
        ("releases.g", "this name is defined twice"),
    ]
    assert all("first in" in problem.allowed and "main.yaml" in problem.allowed for problem in found)
