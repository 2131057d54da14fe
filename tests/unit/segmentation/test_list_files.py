"""Uploaded lists: which column of a file holds the ids, and what is said of one that holds none."""

import pytest

from segmentation.lists.files import NO_COLUMN, read


@pytest.mark.parametrize(
    ("file", "customers"),
    [
        ("customer_id\nu1\nu2\n", ["u1", "u2"]),
        ("name,customer_id\nAnn,u1\n\nBob,u2\n", ["u1", "u2"]),
        ("customer_id,name\nu1,Ann\n", ["u1"]),
        ("\ufeffcustomer_id\r\nu1\r\nu1\r\n", ["u1"]),
        ("u1\nu2\n", ["u1", "u2"]),
        ("name, customer_id \nAnn, u3 \n", ["u3"]),
        ("Customer_ID\nu1\n", ["u1"]),
        ("Name,CUSTOMER_ID\nAnn,u1\n", ["u1"]),
        ("\ncustomer_id\nu1\n", ["u1"]),
        ('customer_id,"notes; and more"\nu1,x;y\n', ["u1"]),
        ("", []),
    ],
)
def test_the_column_of_ids(file: str, customers: list[str]) -> None:
    assert read(file.encode(), "text/csv") == (customers, ())


@pytest.mark.parametrize("file", ["id,foo\nu1,x\n", "u1,x\n", "u1\nu2,x\n", "Customer,customer\nu1,x\n"])
def test_of_several_columns_none_is_guessed(file: str) -> None:
    _, (fault,) = read(file.encode(), "text/csv")
    assert (fault.path, fault.reason) == ("$", NO_COLUMN)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("customer_id;x\nc1;3\n", "line 1 is divided by semicolons"),
        ("\n\nc1;3\n", "line 3 is divided by semicolons"),
        ("customer_id\tx\nc1\t3\n", "line 1 is divided by tabs"),
        ("a,b;customer_id\n1,2;c1\n", "line 1 is divided by semicolons"),
        ("customer_id,Customer_ID\nu1,u2\n", "line 1 names 'customer_id' more than once"),
    ],
)
def test_a_first_line_that_cannot_be_understood_puts_nobody_on(file: str, reason: str) -> None:
    customers, (fault,) = read(file.encode(), "text/csv")
    assert (customers, fault.path) == ([], "$")
    assert fault.reason.startswith(reason)


@pytest.mark.parametrize(
    ("kind", "file", "path", "reason"),
    [
        ("text/csv", "customer_id\nu1\n\nu 3\n", "line 4.customer_id", "holds spaces or control characters"),
        ("text/csv", "u1\nu\t3\n", "line 2", "holds spaces or control characters"),
        ("text/csv", "name,customer_id\nAnn\n", "line 2.customer_id", "is missing"),
        ("text/csv", "name,customer_id\nAnn, \n", "line 2.customer_id", "must have 1 to 128 characters"),
        ("text/csv", f"u1\n{'u' * 129}\n", "line 2", "must have 1 to 128 characters"),
        ("application/x-ndjson", '"u1"\n\n3\n', "line 3", "must be a text"),
        ("application/x-ndjson", '{"id": "u1"}\n', "line 1.customer_id", "is missing"),
        ("application/json", '["u1", 3]', "$[1]", "must be a text"),
    ],
)
def test_faults_are_told_in_words_with_their_line(kind: str, file: str, path: str, reason: str) -> None:
    _, (fault,) = read(file.encode(), kind)
    assert (fault.path, fault.reason) == (path, reason)
