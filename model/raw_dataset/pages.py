"""Pages of the raw dataset."""

from model.raw_dataset.health.page import build
from model.store.pages import Page

PAGES: tuple[Page, ...] = (Page("health.html", "Health of the data", build),)
