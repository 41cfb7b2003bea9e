"""The JobSet of launch/jobset.sh: fields that there are, rightly filled.

No cluster is asked: what its server would check is written down here.
"""

import yaml

from tests.launch_test import ARGS, NEEDED, launch, pod_of

# Names, types and allowed words of the fields that are used, as the published
# definition has them: third_party/manifest.toml names it.
TEXT, COUNT, FLAG = str, int, bool
JOB_REASONS = {
  "BackoffLimitExceeded",
  "DeadlineExceeded",
  "FailedIndexes",
  "MaxFailedIndexesExceeded",
  "PodFailurePolicy",
}
SCHEMA = {
  "apiVersion": {"jobset.x-k8s.io/v1alpha2"},
  "kind": {"JobSet"},
  "metadata": {"name": TEXT},
  "spec": {
    "network": {
      "enableDNSHostnames": FLAG,
      "subdomain": TEXT,
      "publishNotReadyAddresses": FLAG,
    },
    "failurePolicy": {
      "maxRestarts": COUNT,
      "restartStrategy": {"Recreate", "BlockingRecreate"},
      "rules": [
        {
          "name": TEXT,
          "action": {
            "FailJobSet",
            "RestartJobSet",
            "RestartJobSetAndIgnoreMaxRestarts",
          },
          "onJobFailureReasons": [JOB_REASONS],
          "targetReplicatedJobs": [TEXT],
        }
      ],
    },
    "replicatedJobs": [
      {
        "name": TEXT,
        "replicas": COUNT,
        "template": {
          "spec": {
            "completionMode": {"Indexed", "NonIndexed"},
            "completions": COUNT,
            "parallelism": COUNT,
            "backoffLimit": COUNT,
            "podFailurePolicy": {
              "rules": [
                {
                  "action": {"FailJob", "FailIndex", "Ignore", "Count"},
                  "onExitCodes": {
                    "containerName": TEXT,
                    "operator": {"In", "NotIn"},
                    "values": [COUNT],
                  },
                }
              ]
            },
            "template": {
              "spec": {
                "restartPolicy": {"Never", "OnFailure"},
                "terminationGracePeriodSeconds": COUNT,
                "containers": [
                  {
                    "name": TEXT,
                    "image": TEXT,
                    "command": [TEXT],
                    "args": [TEXT],
                    "env": [
                      {
                        "name": TEXT,
                        "valueFrom": {"fieldRef": {"fieldPath": TEXT}},
                      }
                    ],
                    "resources": {
                      "requests": {"cpu": COUNT, "memory": TEXT},
                      "limits": {"memory": TEXT, "nvidia.com/gpu": COUNT},
                    },
                    "volumeMounts": [{"name": TEXT, "mountPath": TEXT}],
                  }
                ],
                "volumes": [
                  {
                    "name": TEXT,
                    "persistentVolumeClaim": {"claimName": TEXT},
                  }
                ],
              }
            },
          }
        },
      }
    ],
  },
}


def wrong(value, schema, where="") -> list[str]:
  """Returns what of a document the schema does not allow."""
  if isinstance(schema, dict):
    if not isinstance(value, dict):
      return [f"{where} is no object"]
    unknown = [f"{where}.{key} is unknown" for key in value.keys() - schema]
    known = [k for k in value if k in schema]
    return unknown + [
      each for k in known for each in wrong(value[k], schema[k], f"{where}.{k}")
    ]
  if isinstance(schema, list):
    if not isinstance(value, list) or not value:
      return [f"{where} is no list"]
    return [each for v in value for each in wrong(v, schema[0], f"{where}[]")]
  if isinstance(schema, set):
    return [] if value in schema else [f"{where} is {value!r}"]
  return [] if type(value) is schema else [f"{where} is {value!r}"]


def jobset(**changes) -> dict:
  ran = launch(
    "jobset", "--dry_run", "--", *ARGS, **NEEDED["jobset"], **changes
  )
  assert ran.returncode == 0, ran.stderr
  assert "@" not in ran.stdout
  return yaml.safe_load(ran.stdout)


def test_the_jobset_has_only_fields_that_there_are():
  found = jobset(gpus="8")
  assert wrong(found, SCHEMA) == []
  assert pod_of(found)["resources"]["limits"]["nvidia.com/gpu"] == 8
  assert "nvidia.com/gpu" not in pod_of(jobset())["resources"]["limits"]
  found["spec"]["failurePolicy"]["maxRestart"] = found["spec"].pop("network")
  found["spec"]["failurePolicy"]["rules"][0]["action"] = "Restart"
  assert wrong(found, SCHEMA) == [
    ".spec.failurePolicy.maxRestart is unknown",
    ".spec.failurePolicy.rules[].action is 'Restart'",
  ]


def test_pods_are_told_where_the_first_is_and_who_they_are():
  found = jobset()
  name = found["metadata"]["name"]
  (job,) = found["spec"]["replicatedJobs"]
  spec, container = job["template"]["spec"], pod_of(found)
  assert spec["completions"] == spec["parallelism"] == 4
  # Pod 0 of job 0, by the service that the JobSet makes.
  host = f"{name}-{job['name']}-0-0.{found['spec']['network']['subdomain']}"
  assert container["args"][:3] == [
    f"--coordinator={host}:8476",
    "--processes=4",
    "--process=$(INDEX)",
  ]
  assert [each["name"] for each in container["env"]] == ["INDEX"]
  # Only a wrong command is not started again.
  policy = spec["podFailurePolicy"]["rules"][0]
  assert policy["onExitCodes"]["values"] == [2]
  assert policy["onExitCodes"]["containerName"] == container["name"]


def test_a_dollar_in_an_argument_stays_one():
  ran = launch(
    *("jobset", "--dry_run", "--", *ARGS, "--config.encoder=it's $(HOME)"),
    **NEEDED["jobset"],
  )
  args = pod_of(yaml.safe_load(ran.stdout))["args"]
  assert args[-1] == "--config.encoder=it's $$(HOME)"
