"""The Kubernetes manifests: Kubernetes' own schemas, and what every pod must not be allowed."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess

import kubernetes_validate
import pytest

from mammosweep.version import __version__

# Fields of KubeRay's v1 API that the manifest uses, as its Go types name them; its schema is not to be had.
RAY_JOB = {
    "entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "backoffLimit",
    "submitterPodTemplate", "rayClusterSpec",
}  # fmt: skip
RAY_CLUSTER = {"rayVersion", "enableInTreeAutoscaling", "authOptions", "headGroupSpec", "workerGroupSpecs"}
HEAD = {"serviceType", "enableIngress", "rayStartParams", "template"}
WORKERS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


@pytest.fixture
def ray_job(manifests):
    (found,) = [content["spec"] for _, content in manifests if content["kind"] == "RayJob"]
    return found


def templates(node):
    """Every pod template below a node."""
    if isinstance(node, dict):
        if "containers" in node.get("spec", {}):
            yield node
        for child in node.values():
            yield from templates(child)
    elif isinstance(node, list):
        for child in node:
            yield from templates(child)


def test_kubernetes_knows_every_field(manifests):
    version = kubernetes_validate.latest_version()
    checked = set()
    for file, content in manifests:
        pods = [
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}
            for template in templates(content)
        ]
        own = [] if content["kind"] == "RayJob" else [content]
        for each in own + pods:
            kubernetes_validate.validate(each, version, strict=True)
            checked.add((file, each["kind"]))

    assert checked >= {
        ("namespace.yaml", "Namespace"),
        ("networkpolicy.yaml", "NetworkPolicy"),
        ("nightly-cronjob.yaml", "CronJob"),
        ("kuberay-job.yaml", "PodTemplate"),
    }


def test_a_misspelt_field_would_be_found(manifests):
    (job,) = [content for _, content in manifests if content["kind"] == "CronJob"]
    wrong = job | {"spec": job["spec"] | {"concurencyPolicy": "Forbid"}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_the_ray_job_has_only_fields_that_kuberay_has(ray_job):
    cluster = ray_job["rayClusterSpec"]

    assert set(ray_job) == RAY_JOB
    assert set(cluster) == RAY_CLUSTER
    assert set(cluster["headGroupSpec"]) == HEAD
    assert [set(group) for group in cluster["workerGroupSpecs"]] == [WORKERS]
    parameters = cluster["headGroupSpec"]["rayStartParams"]
    assert all(isinstance(value, str) for value in parameters.values())


def test_the_ray_job_is_of_the_ray_that_is_installed_and_asks_for_a_token(ray_job):
    cluster = ray_job["rayClusterSpec"]

    assert cluster["rayVersion"] == importlib.metadata.version("ray")
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_number_of_gpus_is_one_number(ray_job):
    (workers,) = ray_job["rayClusterSpec"]["workerGroupSpecs"]
    words = ray_job["entrypoint"].split()

    assert int(words[words.index("--gpus") + 1]) == workers["replicas"] == workers["maxReplicas"]
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (head,) = ray_job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in head["resources"]["limits"]


def test_every_pod_is_confined(manifests):
    pods = [(file, template["spec"]) for file, content in manifests for template in templates(content)]
    assert len(pods) == 4  # the submitter, the head, the workers; the night
    for file, pod in pods:
        assert pod["automountServiceAccountToken"] is False, file
        assert pod["securityContext"]["runAsNonRoot"] is True, file
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, file
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), file
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], file
        for container in pod["containers"] + pod.get("initContainers", []):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, file
            assert security["allowPrivilegeEscalation"] is False, file
            assert security["capabilities"] == {"drop": ["ALL"]}, file
            assert "privileged" not in security, file
            assert container["image"].endswith(f"/mammosweep:{__version__}"), file
            assert {"cpu", "memory"} <= set(container["resources"]["limits"]), file


def test_the_archive_is_read_only_and_what_is_written_to_is_a_volume(manifests):
    for file, content in manifests:
        for template in templates(content):
            mounts = template["spec"]["containers"][0]["volumeMounts"]
            by_path = {mount["mountPath"]: mount for mount in mounts}
            assert {"/tmp", "/state"} <= set(by_path), file
            if "/archive" in by_path:
                assert by_path["/archive"]["readOnly"] is True
                (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "archive"]
                assert volume["persistentVolumeClaim"]["readOnly"] is True


def test_nights_do_not_overlap_and_a_chunk_may_end(manifests):
    (job,) = [content["spec"] for _, content in manifests if content["kind"] == "CronJob"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]

    assert job["concurrencyPolicy"] == "Forbid"
    assert job["startingDeadlineSeconds"] > 0
    assert pod["terminationGracePeriodSeconds"] >= 600
    assert pod["restartPolicy"] == "Never"


def test_nobody_may_speak_with_the_pods_unless_a_policy_says_so(manifests):
    policies = {c["metadata"]["name"]: c["spec"] for _, c in manifests if c["kind"] == "NetworkPolicy"}

    assert policies["mammosweep-nobody"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ray = policies["mammosweep-ray"]["podSelector"]["matchLabels"]
    (job,) = [content for _, content in manifests if content["kind"] == "RayJob"]
    for template in templates(job):
        assert ray.items() <= template["metadata"]["labels"].items()
    (night,) = [content for _, content in manifests if content["kind"] == "CronJob"]
    (pod,) = templates(night)
    assert "mammosweep/network" not in pod["metadata"]["labels"]


def test_no_manifest_holds_a_secret(manifests):
    assert not [file for file, content in manifests if content["kind"] == "Secret"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_reads_them(deploy, manifests, tmp_path):
    for file in deploy.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    names = sorted({file for file, _ in manifests})
    (tmp_path / "kustomization.yaml").write_text("resources:\n" + "".join(f"- {name}\n" for name in names))

    built = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, timeout=60)

    assert built.returncode == 0, built.stderr
    assert built.stdout.count("\nkind:") == len(manifests)
    assert "*image" not in built.stdout
