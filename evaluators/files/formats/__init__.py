"""How files hold rows: JSON arrays, cells of CSV and workbooks, columns, archives."""
