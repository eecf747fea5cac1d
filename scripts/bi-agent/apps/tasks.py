"""What Celery does: the broker and the place of results come from the environment, what is due
when from schedule.json."""

import json
import os

from celery import Celery

app = Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
with open("schedule.json") as file:
    app.conf.beat_schedule = json.load(file)


@app.task(name="analytics.refresh_analytics_views")
def refresh_analytics_views():
    return "refreshed"


@app.task(name="ml.update_ml_models")
def update_ml_models():
    return "updated"


@app.task(name="analytics.calculate_kpis")
def calculate_kpis():
    return "calculated"


@app.task(name="ml.train_model")
def train_model():
    return "trained"


@app.task(name="data.import_data")
def import_data():
    return "imported"


@app.task(name="data.process_data")
def process_data():
    return "processed"
