# What `cmake --install build/release --prefix PREFIX` copies: the program, its sweeps and backbones, its documentation.
# io/CMakeLists.txt tells the program where the backbones will be.
set(share ${CMAKE_INSTALL_DATADIR}/sluice)
install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY sweeps/ DESTINATION ${share}/sweeps FILES_MATCHING PATTERN "*.yaml" PATTERN backbones EXCLUDE)
install(DIRECTORY sweeps/backbones/ DESTINATION ${share}/backbones OPTIONAL)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR}) # beside README.md, whose links lead there
