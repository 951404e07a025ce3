"""The page in a real browser. A package, so that its browser closes with it: while one runs, no other event loop may run.

What a person does, and where it is tested:

 1. several files, a folder, one archive           test_queue
 2. names, search, renaming, deleting, Back        test_library; a re-run compared with its first run: test_found
 3. progress, lost connections, half uploads       test_progress, test_resuming
 4. zoom, full screen, frames, speed, difference   test_seeing; both videos in step: test_result
 5. boxes, brush, times, keyframes, marks found    test_marking, test_keyframes, test_found
 6. no mark found                                  test_ordering
 7. the timeline                                   test_timeline
 8. limits and prices before the upload            test_library; detection, price and time before cleaning: test_found
 9. the key                                        test_session
10. examples that run, "try it"                    test_session, test_docs
11. the operator's page                            test_admin, test_admin_keys
12. five languages                                 test_looks
13. a phone                                        test_found, test_looks

The whole way with the real networks is in test_whole_way, and in Firefox in test_firefox; axe is in test_looks, the keyboard alone in
test_result, test_keyframes and test_admin.
"""
