"""What Celery does: the broker and the place of results come from the environment."""

import os

from celery import Celery

app = Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])


@app.task
def add(a, b):
    return a + b
