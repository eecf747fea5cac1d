"""The smallest DAG: shows that the scheduler finds this folder."""

from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule="@daily", start_date=datetime(2025, 1, 1), catchup=False)
def example():
    @task
    def hello():
        print("hello")

    hello()


example()
