"""What was done, for people and programs: JSON, HTML page, picture, contact sheet.

Decides nothing; it shows what the steps decided.
"""
