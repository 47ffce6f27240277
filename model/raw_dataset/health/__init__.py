"""The health of the data: facts gathered from the stored panel, and the page that shows them."""
