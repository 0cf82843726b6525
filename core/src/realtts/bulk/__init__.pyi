from realtts.bulk.book import Chapter as Chapter, read_chapters as read_chapters
from realtts.bulk.job import BulkJob as BulkJob, Summary as Summary
from realtts.bulk.result import RowResult as RowResult
from realtts.bulk.rows import BadRow as BadRow, SpeechRow as SpeechRow, make_row as make_row
from realtts.bulk.runner import Progress as Progress, run_job as run_job
from realtts.bulk.speaking import Defaults as Defaults, row_seed as row_seed, speak_row as speak_row
from realtts.bulk.tables import read_rows as read_rows
