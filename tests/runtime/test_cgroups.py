"""Finding the kernel's control groups, in either version's hierarchies."""

from pathlib import Path

from msctl.runtime.cgroups import Controller, Group, find_controllers, remove_stale


def proc(tmp_path: Path, own: str, mounts: str) -> Path:
    directory = tmp_path / "proc"
    directory.mkdir()
    (directory / "cgroup").write_text(own)
    (directory / "mountinfo").write_text(mounts)
    return directory


def test_each_resource_of_version_1_has_its_own_hierarchy(tmp_path: Path) -> None:
    found = find_controllers(
        ("memory", "cpu"),
        proc(
            tmp_path,
            "4:memory:/user/shop\n2:cpuacct:/\n1:cpu,cpuset:/\n0::/\n",
            "30 20 0:26 / /cg/memory rw,relatime - cgroup cgroup rw,memory\n"
            "31 20 0:27 / /cg/cpu rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuset\n"
            "32 20 0:28 / /proc rw - proc proc rw\n",
        ),
    )
    assert found == {
        "memory": Controller(Path("/cg/memory/user/shop"), unified=False),
        "cpu": Controller(Path("/cg/cpu"), unified=False),
    }


def test_version_2_has_the_resources_that_its_group_was_given(tmp_path: Path) -> None:
    mount = tmp_path / "cg two"
    (mount / "user.slice").mkdir(parents=True)
    (mount / "user.slice/cgroup.controllers").write_text("memory pids\n")
    mounts = f"30 20 0:26 / {str(mount).replace(' ', chr(92) + '040')} rw - cgroup2 cgroup2 rw\n"
    found = find_controllers(("memory", "cpu"), proc(tmp_path, "0::/user.slice\n", mounts))
    assert found == {"memory": Controller(mount / "user.slice", unified=True)}


def test_a_mount_that_begins_deep_in_the_hierarchy_shows_the_group_at_its_top(
    tmp_path: Path,
) -> None:
    mounts = "30 20 0:26 /docker/abc /cg/memory rw - cgroup cgroup rw,memory\n"
    found = find_controllers(("memory",), proc(tmp_path, "4:memory:/docker/abc/x\n", mounts))
    assert found["memory"].directory == Path("/cg/memory/x")


def test_version_2_is_given_the_resource_on_the_way_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("")
    owner = tmp_path / "msctl-1"
    owner.mkdir()
    (owner / "cgroup.subtree_control").write_text("")
    group = Group("msctl-1", "shop-1", {"memory": Controller(tmp_path, unified=True)})
    group.create()
    group.limit_memory(1000)
    group.enter(42)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    assert (owner / "cgroup.subtree_control").read_text() == "+memory"
    assert (owner / "shop-1/memory.max").read_text() == "1000"
    assert (owner / "shop-1/cgroup.procs").read_text() == "42"
    assert group.members() == [42]


def test_killed_processes_are_counted_in_both_versions(tmp_path: Path) -> None:
    for unified, file, text in (
        (True, "memory.events", "low 0\nmax 3\noom 2\noom_kill 2\n"),
        (False, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
    ):
        group = Group(f"msctl-{unified}", "a-1", {"memory": Controller(tmp_path, unified=unified)})
        directory = tmp_path / f"msctl-{unified}/a-1"
        directory.mkdir(parents=True)
        assert group.kills() == 0
        (directory / file).write_text(text)
        assert group.kills() == (2 if unified else 1)


def test_groups_of_daemons_that_are_gone_are_removed(tmp_path: Path) -> None:
    living = Path("/proc/self").resolve().name
    for name in ("msctl-999999999", f"msctl-{living}", "msctl-mine"):
        (tmp_path / name / "a-1").mkdir(parents=True)
    remove_stale({"memory": Controller(tmp_path, unified=False)})
    assert {each.name for each in tmp_path.iterdir()} == {f"msctl-{living}", "msctl-mine"}
