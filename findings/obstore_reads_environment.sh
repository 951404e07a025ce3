#!/usr/bin/env bash
# obstore 0.12.1: an S3Store that is given its two keys takes the session token that it is not given from the environment of the process.
# A service that signs a link with a customer's keys so hands the operator's session token to the customer's host, and the customer's
# storage refuses the link. boto3 does what one expects: keys that are given in code belong together, and an absent token is none. (The
# endpoint comes from the environment in both.)
# Seen: obstore's link has X-Amz-Security-Token=operators-token, that of boto3 has no token.
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check obstore==0.12.1 boto3==1.44.5 2>/dev/null
AWS_SESSION_TOKEN=operators-token AWS_ENDPOINT_URL=https://operator.example "$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import timedelta

import boto3
import obstore
from obstore.store import S3Store

store = S3Store("bucket", region="us-east-1", access_key_id="customer", secret_access_key="secret")
link = obstore.sign(store, "PUT", "clean.mp4", timedelta(seconds=60))
print("obstore:", link.partition("?")[0], "token" if "operators-token" in link else "no token")
client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="customer", aws_secret_access_key="secret")
other = client.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "clean.mp4"}, 60)
print("boto3:", other.partition("?")[0], "token" if "operators-token" in other else "no token")
sys.exit(0 if "operators-token" in link and "operators-token" not in other else 1)
PYTHON
