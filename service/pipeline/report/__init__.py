"""The report of a run for people and programs: JSON, HTML page, picture, contact sheet.

It decides nothing; it shows what the steps decided.
"""
