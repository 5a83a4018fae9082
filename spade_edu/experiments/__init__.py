"""The paper's tables and figures as experiments: trained, scored and drawn here, beside what the paper has.

One command each, `spade-edu reproduce table3`; one file each where they differ. `cells` trains and keeps, `tables`
makes Tables 1, 3, 4 and 5, `table2` counts the answers of a user study.
"""
