"""What Azure's stock storage client does with the links that Ketline hands out, step by step.

Arguments: a link to a container (racwld), a link to write the blob "shared/one", and one to read it.
Prints one JSON line per step: {"step", "ok", "error"?}. Each step uses blobs of its own.
"""

import json
import os
import sys
import traceback

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

CONTAINER_URL, WRITE_URL, READ_URL = sys.argv[1:4]
CONTAINER = ContainerClient.from_container_url(CONTAINER_URL)
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def raises(status, code, call):
    try:
        call()
    except HttpResponseError as error:
        assert error.status_code == status, f"{error.status_code}: {error.message}"
        assert error.error_code == code, f"{error.error_code}: {error.message}"
        return
    raise AssertionError(f"no {code} was raised")


@step
def sees_the_container():
    assert CONTAINER.exists()


@step
def uploads_a_blob_once_and_reads_its_properties():
    blob = CONTAINER.get_blob_client("inputData")
    try:
        blob.get_blob_properties()
        raise AssertionError("the blob is there before it was uploaded")
    except ResourceNotFoundError as error:
        assert error.error_code == "BlobNotFound"
    uploaded = blob.upload_blob(b"hello", content_settings=ContentSettings(content_type="qir.v1"))
    try:
        blob.upload_blob(b"other")
        raise AssertionError("the blob was replaced")
    except ResourceExistsError as error:
        assert error.error_code == "BlobAlreadyExists"
    found = blob.get_blob_properties()
    assert (found.size, found.content_settings.content_type) == (5, "qir.v1")
    assert found.etag == uploaded["etag"]
    assert found.last_modified == uploaded["last_modified"]
    assert blob.download_blob().readall() == b"hello"
    assert blob.download_blob(offset=1, length=3).readall() == b"ell"
    blob.upload_blob(b"replaced", overwrite=True)
    assert blob.download_blob().readall() == b"replaced"


@step
def uploads_and_downloads_in_parts_at_once():
    content = os.urandom(70 * 1024 * 1024 + 5)
    blob = CONTAINER.get_blob_client("large/é ?#%.bin")
    blob.upload_blob(content, max_concurrency=3)
    assert blob.download_blob(max_concurrency=3).readall() == content
    blob.delete_blob()
    assert not blob.exists()


@step
def uploads_and_downloads_nothing():
    blob = CONTAINER.get_blob_client("empty")
    blob.upload_blob(b"")
    assert blob.download_blob().readall() == b""


@step
def lists_in_pages_and_by_folder():
    for index in range(7):
        CONTAINER.upload_blob(f"many/{index}", b"x" * index)
    listed = CONTAINER.list_blobs(name_starts_with="many/", results_per_page=2)
    assert [(blob.name, blob.size) for blob in listed] == [(f"many/{index}", index) for index in range(7)]
    assert "many/" in [item.name for item in CONTAINER.walk_blobs()]


@step
def stages_blocks_and_commits_them_in_another_order():
    blob = CONTAINER.get_blob_client("blocks")
    blob.stage_block("a", b"1")
    blob.stage_block("b", b"22")
    blob.commit_block_list(["b", "a"], content_settings=ContentSettings(content_type="text/x-blocks"))
    assert blob.download_blob().readall() == b"221"
    assert blob.get_blob_properties().content_settings.content_type == "text/x-blocks"
    raises(400, "InvalidBlockList", lambda: blob.commit_block_list(["gone"]))


@step
def uses_a_link_to_one_blob_for_what_it_allows():
    writer = BlobClient.from_blob_url(WRITE_URL)
    writer.upload_blob(b"through a link", overwrite=True)
    raises(403, "AuthorizationPermissionMismatch", writer.download_blob)
    reader = BlobClient.from_blob_url(READ_URL)
    assert reader.download_blob().readall() == b"through a link"
    raises(403, "AuthorizationPermissionMismatch", lambda: reader.upload_blob(b"x", overwrite=True))
    other = BlobClient.from_blob_url(READ_URL.replace("/one?", "/two?"))
    raises(403, "AuthenticationFailed", other.download_blob)


@step
def hears_what_is_not_served():
    raises(501, "InvalidBlobType", CONTAINER.get_blob_client("appended").create_append_blob)
    raises(501, "UnsupportedOperation", CONTAINER.get_blob_client("inputData").get_blob_tags)


for function in STEPS:
    result = {"step": function.__name__.replace("_", " "), "ok": True}
    try:
        function()
    except BaseException:
        result = {**result, "ok": False, "error": traceback.format_exc()}
    print(json.dumps(result), flush=True)
